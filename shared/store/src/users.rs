//! People: their accounts, passwords and memberships. Outside tenancy, since a person exists before and beside organisations.

use sqlx::{Postgres, Transaction};
use uuid::Uuid;
use waypost_types::{
    EmailAddress, OrgId, UserId,
    account::{Org, Role, User},
};

use crate::{Store, StoreError};

/// An account with what signing in compares.
#[derive(Debug, Clone)]
pub struct Account {
    /// The person.
    pub user: User,
    /// PHC string of the password.
    pub password_hash: String,
}

/// What a sign-up needs.
#[derive(Debug, Clone, Copy)]
pub struct NewAccount<'a> {
    /// The address as typed.
    pub email: &'a EmailAddress,
    /// PHC string of the password.
    pub password_hash: &'a str,
    /// The organisation's name.
    pub organisation: &'a str,
    /// The slug wished for; a suffix is added when it is taken.
    pub slug: &'a str,
}

/// Attempts to find a slug that nobody has.
const SLUG_ATTEMPTS: usize = 8;

impl Store {
    /// The account with that address.
    pub async fn account_by_email(&self, email: &EmailAddress) -> Result<Option<Account>, StoreError> {
        let row = sqlx::query!("SELECT id, email, email_verified_at, created_at, password_hash FROM users WHERE email_key = $1", email.key())
            .fetch_optional(self.pool())
            .await?;
        Ok(row.map(|row| Account {
            user: User { id: UserId(row.id), email: row.email, email_verified: row.email_verified_at.is_some(), created_at: row.created_at },
            password_hash: row.password_hash,
        }))
    }

    /// A person.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let row = sqlx::query!("SELECT id, email, email_verified_at, created_at FROM users WHERE id = $1", id.0).fetch_optional(self.pool()).await?;
        Ok(row.map(|row| User { id: UserId(row.id), email: row.email, email_verified: row.email_verified_at.is_some(), created_at: row.created_at }))
    }

    /// A person and their membership in the organisation that `org` names by slug or id; `None` for the membership when there is none.
    pub async fn user_in_org(&self, user: UserId, org: &str) -> Result<Option<(User, Option<Org>)>, StoreError> {
        let id = org.parse::<OrgId>().ok().map(|id| id.0);
        let row = sqlx::query!(
            r#"SELECT u.id, u.email, u.email_verified_at, u.created_at, m.org_id AS "org_id?", m.slug AS "slug?", m.name AS "name?", m.role AS "role?"
               FROM users u LEFT JOIN LATERAL (SELECT * FROM memberships_of(u.id) o WHERE o.slug = $2 OR o.org_id = $3 LIMIT 1) m ON true
               WHERE u.id = $1"#,
            user.0,
            org,
            id
        )
        .fetch_optional(self.pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let user = User { id: UserId(row.id), email: row.email, email_verified: row.email_verified_at.is_some(), created_at: row.created_at };
        let membership = match (row.org_id, row.slug, row.name, row.role) {
            (Some(id), Some(slug), Some(name), Some(role)) => Some(Org { id: OrgId(id), slug, name, role: parse_role(&role)? }),
            _ => None,
        };
        Ok(Some((user, membership)))
    }

    /// The organisations of a person, the one they joined first in front.
    pub async fn memberships_of(&self, user: UserId) -> Result<Vec<Org>, StoreError> {
        let rows = sqlx::query!(r#"SELECT org_id AS "org_id!", slug AS "slug!", name AS "name!", role AS "role!" FROM memberships_of($1)"#, user.0)
            .fetch_all(self.pool())
            .await?;
        rows.into_iter().map(|row| Ok(Org { id: OrgId(row.org_id), slug: row.slug, name: row.name, role: parse_role(&row.role)? })).collect()
    }

    /// Makes a person with an organisation of their own, in one transaction. `Conflict("email")` when the address has an account.
    pub async fn create_account(&self, new: NewAccount<'_>) -> Result<(User, Org), StoreError> {
        let mut tx = self.pool().begin().await?;
        let id = UserId(Uuid::now_v7());
        let row = sqlx::query!(
            "INSERT INTO users (id, email, email_key, password_hash) VALUES ($1, $2, $3, $4) ON CONFLICT (email_key) DO NOTHING RETURNING created_at",
            id.0,
            new.email.to_string(),
            new.email.key(),
            new.password_hash
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(StoreError::Conflict("email"))?;
        let org = insert_org(&mut tx, id, new.organisation, new.slug).await?;
        tx.commit().await?;
        Ok((User { id, email: new.email.to_string(), email_verified: false, created_at: row.created_at }, org))
    }

    /// Makes an organisation that a person owns.
    pub async fn create_org(&self, owner: UserId, name: &str, slug: &str) -> Result<Org, StoreError> {
        let mut tx = self.pool().begin().await?;
        let org = insert_org(&mut tx, owner, name, slug).await?;
        tx.commit().await?;
        Ok(org)
    }

    /// Sets a password and ends every session of the person. A reset link proves the address too.
    pub async fn reset_password(&self, user: UserId, password_hash: &str) -> Result<(), StoreError> {
        let mut tx = self.pool().begin().await?;
        sqlx::query!(
            "UPDATE users SET password_hash = $2, email_verified_at = coalesce(email_verified_at, now()) WHERE id = $1",
            user.0,
            password_hash
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!("DELETE FROM sessions WHERE user_id = $1", user.0).execute(&mut *tx).await?;
        sqlx::query!("DELETE FROM account_tokens WHERE user_id = $1 AND purpose = 'reset'", user.0).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The person proved that the address is theirs.
    pub async fn verify_email(&self, user: UserId) -> Result<(), StoreError> {
        sqlx::query!("UPDATE users SET email_verified_at = coalesce(email_verified_at, now()) WHERE id = $1", user.0).execute(self.pool()).await?;
        Ok(())
    }
}

async fn insert_org(tx: &mut Transaction<'_, Postgres>, owner: UserId, name: &str, wished: &str) -> Result<Org, StoreError> {
    let id = OrgId(Uuid::now_v7());
    sqlx::query_scalar!("SELECT set_config('waypost.org_id', $1, true)", id.0.to_string()).fetch_one(&mut **tx).await?;
    for attempt in 0..SLUG_ATTEMPTS {
        let slug = if attempt == 0 { wished.to_owned() } else { format!("{wished}-{:04x}", rand::random::<u16>()) };
        let inserted = sqlx::query!("INSERT INTO orgs (id, slug, name) VALUES ($1, $2, $3) ON CONFLICT (slug) DO NOTHING", id.0, slug, name)
            .execute(&mut **tx)
            .await?;
        if inserted.rows_affected() == 0 {
            continue;
        }
        sqlx::query!("INSERT INTO memberships (org_id, user_id, role) VALUES ($1, $2, 'owner')", id.0, owner.0).execute(&mut **tx).await?;
        return Ok(Org { id, slug, name: name.to_owned(), role: Role::Owner });
    }
    Err(StoreError::Conflict("slug"))
}

pub(crate) fn parse_role(text: &str) -> Result<Role, StoreError> {
    text.parse().map_err(|()| StoreError::Corrupt(text.to_owned()))
}
