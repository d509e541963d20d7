//! Members of an organisation, and invitations to it.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use waypost_types::{
    EmailAddress, InvitationId, OrgId, UserId,
    account::{Org, Role, User},
    people::{Invitation, MOST_INVITATIONS, OrgMember},
};

use crate::{
    OrgTx, Store, StoreError,
    monitors::{Added, fresh},
    users::parse_role,
};

struct MemberRow {
    id: Uuid,
    email: String,
    email_verified_at: Option<DateTime<Utc>>,
    role: String,
    joined_at: DateTime<Utc>,
    version: i64,
}

impl TryFrom<MemberRow> for OrgMember {
    type Error = StoreError;
    fn try_from(row: MemberRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: UserId(row.id),
            email: row.email,
            email_verified: row.email_verified_at.is_some(),
            role: parse_role(&row.role)?,
            joined_at: row.joined_at,
            version: row.version,
        })
    }
}

struct InvitationRow {
    id: Uuid,
    email: String,
    role: String,
    invited_by: String,
    sent_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    version: i64,
}

impl TryFrom<InvitationRow> for Invitation {
    type Error = StoreError;
    fn try_from(row: InvitationRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: InvitationId(row.id),
            email: row.email,
            role: parse_role(&row.role)?,
            invited_by: row.invited_by,
            sent_at: row.sent_at,
            expires_at: row.expires_at,
            created_at: row.created_at,
            version: row.version,
        })
    }
}

/// An invitation that is made.
#[derive(Debug, Clone, Copy)]
pub struct InvitationDraft<'a> {
    /// Whom it is for.
    pub email: &'a EmailAddress,
    /// What they will be.
    pub role: Role,
    /// Who invites: the person and their address.
    pub by: (UserId, &'a str),
    /// What is kept of the link.
    pub token_hash: &'a [u8],
    /// Until when the link works.
    pub expires_at: DateTime<Utc>,
}

/// What a link leads to.
#[derive(Debug, Clone)]
pub struct Invited {
    /// Where to.
    pub org: OrgId,
    /// Its name for people.
    pub org_name: String,
    /// Whom it is for, as it was typed.
    pub email: String,
    /// What they will be.
    pub role: Role,
    /// Who invited them.
    pub invited_by: String,
    /// Until when it works.
    pub expires_at: DateTime<Utc>,
    /// The account that the address has.
    pub account: Option<UserId>,
}

/// Who accepts an invitation.
#[derive(Debug, Clone, Copy)]
pub enum Joining<'a> {
    /// Somebody with an account.
    With(UserId),
    /// Somebody new.
    New {
        /// PHC string of the password.
        password_hash: &'a str,
    },
}

impl OrgTx {
    /// All members, those first who joined first.
    pub async fn members(&mut self) -> Result<Vec<OrgMember>, StoreError> {
        let org = self.org().0;
        sqlx::query_as!(
            MemberRow,
            "SELECT u.id, u.email, u.email_verified_at, m.role, m.created_at AS joined_at, m.version
             FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.org_id = $1 ORDER BY m.created_at, u.id LIMIT 1000",
            org
        )
        .fetch_all(self.connection())
        .await?
        .into_iter()
        .map(OrgMember::try_from)
        .collect()
    }

    /// A member.
    pub async fn org_member(&mut self, id: UserId) -> Result<OrgMember, StoreError> {
        let org = self.org().0;
        sqlx::query_as!(
            MemberRow,
            "SELECT u.id, u.email, u.email_verified_at, m.role, m.created_at AS joined_at, m.version
             FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.org_id = $1 AND m.user_id = $2",
            org,
            id.0
        )
        .fetch_one(self.connection())
        .await?
        .try_into()
    }

    /// Makes a member something else. `Conflict("role")` for the last owner.
    pub async fn set_role(&mut self, id: UserId, expected: Option<i64>, role: Role) -> Result<OrgMember, StoreError> {
        let now = self.lock_member(id, expected, Some(role)).await?;
        if now != role {
            let org = self.org().0;
            sqlx::query!("UPDATE memberships SET role = $3, version = version + 1 WHERE org_id = $1 AND user_id = $2", org, id.0, role.as_str())
                .execute(self.connection())
                .await?;
            self.take_back_invitations(id, Some(role)).await?;
        }
        self.org_member(id).await
    }

    /// Takes back the invitations of somebody that they could not make any more: nobody comes back by what they invited before they were removed.
    async fn take_back_invitations(&mut self, by: UserId, now: Option<Role>) -> Result<(), StoreError> {
        let org = self.org().0;
        let may_give: Vec<String> = Role::ALL
            .into_iter()
            .filter(|role| now.is_some_and(|now| now.may_change(None, Some(*role)).is_ok()))
            .map(|role| role.as_str().to_owned())
            .collect();
        sqlx::query!("DELETE FROM invitations WHERE org_id = $1 AND invited_by_id = $2 AND role <> ALL($3)", org, by.0, &may_give)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Ends a membership, with the invitations of who goes and the mails that still wait for them. `Conflict("role")` for the last owner.
    pub async fn remove_member(&mut self, id: UserId, expected: Option<i64>) -> Result<(), StoreError> {
        self.lock_member(id, expected, None).await?;
        self.take_back_invitations(id, None).await?;
        let org = self.org().0;
        sqlx::query!(
            "UPDATE outbox SET state = 'failed', last_answer = 'no longer a member' FROM users u
             WHERE org_id = $1 AND channel = 'email' AND state = 'pending' AND u.id = $2 AND recipient = u.email",
            org,
            id.0
        )
        .execute(self.connection())
        .await?;
        sqlx::query!("DELETE FROM memberships WHERE org_id = $1 AND user_id = $2", org, id.0).execute(self.connection()).await?;
        Ok(())
    }

    /// Locks a membership that is to become `to`, and answers what it is. All owners are locked with it, in one order: two who step down at once
    /// must not leave nobody.
    async fn lock_member(&mut self, id: UserId, expected: Option<i64>, to: Option<Role>) -> Result<Role, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            "SELECT user_id, role, version FROM memberships WHERE org_id = $1 AND (user_id = $2 OR role = 'owner') ORDER BY user_id FOR UPDATE",
            org,
            id.0
        )
        .fetch_all(self.connection())
        .await?;
        let row = rows.iter().find(|row| row.user_id == id.0).ok_or(StoreError::NotFound)?;
        fresh(expected, row.version)?;
        let role = parse_role(&row.role)?;
        let others = rows.iter().any(|other| other.user_id != id.0 && other.role == Role::Owner.as_str());
        if role == Role::Owner && to != Some(Role::Owner) && !others {
            return Err(StoreError::Conflict("role"));
        }
        Ok(role)
    }

    /// Invitations that nobody accepted yet, the newest first; those whose link is too old, too.
    pub async fn invitations(&mut self) -> Result<Vec<Invitation>, StoreError> {
        let org = self.org().0;
        sqlx::query_as!(
            InvitationRow,
            "SELECT id, email, role, invited_by, sent_at, expires_at, created_at, version FROM invitations WHERE org_id = $1 ORDER BY created_at DESC, id DESC",
            org
        )
        .fetch_all(self.connection())
        .await?
        .into_iter()
        .map(Invitation::try_from)
        .collect()
    }

    /// An invitation.
    pub async fn invitation(&mut self, id: InvitationId) -> Result<Invitation, StoreError> {
        let org = self.org().0;
        sqlx::query_as!(
            InvitationRow,
            "SELECT id, email, role, invited_by, sent_at, expires_at, created_at, version FROM invitations WHERE org_id = $1 AND id = $2",
            org,
            id.0
        )
        .fetch_one(self.connection())
        .await?
        .try_into()
    }

    /// Invites somebody. `Conflict("email")` where they are a member, `Limit` where enough wait.
    pub async fn add_invitation(&mut self, draft: InvitationDraft<'_>) -> Result<Added<Invitation, InvitationId>, StoreError> {
        let org = self.org().0;
        let key = draft.email.key();
        // The organisation's row, so that two who invite at once do not both find room.
        sqlx::query_scalar!("SELECT id FROM orgs WHERE id = $1 FOR NO KEY UPDATE", org).fetch_one(self.connection()).await?;
        let member = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.org_id = $1 AND u.email_key = $2) AS "is!""#,
            org,
            key
        )
        .fetch_one(self.connection())
        .await?;
        if member {
            return Err(StoreError::Conflict("email"));
        }
        let there = sqlx::query!("SELECT id, email_key FROM invitations WHERE org_id = $1", org).fetch_all(self.connection()).await?;
        if let Some(known) = there.iter().find(|row| row.email_key == key) {
            return Ok(Added::Exists(InvitationId(known.id)));
        }
        if there.len() >= MOST_INVITATIONS {
            return Err(StoreError::Limit { what: "open invitations", limit: i64::try_from(MOST_INVITATIONS).unwrap_or(i64::MAX) });
        }
        let id = InvitationId(Uuid::now_v7());
        sqlx::query!(
            "INSERT INTO invitations (org_id, id, email, email_key, role, token_hash, invited_by, invited_by_id, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            org,
            id.0,
            draft.email.to_string(),
            key,
            draft.role.as_str(),
            draft.token_hash,
            draft.by.1,
            draft.by.0.0,
            draft.expires_at
        )
        .execute(self.connection())
        .await?;
        Ok(Added::New(self.invitation(id).await?))
    }

    /// Gives an invitation another link; the one before ends.
    pub async fn renew_invitation(
        &mut self,
        id: InvitationId,
        ((person, by), token_hash, expires_at): ((UserId, &str), &[u8], DateTime<Utc>),
    ) -> Result<Invitation, StoreError> {
        let org = self.org().0;
        sqlx::query_scalar!(
            "UPDATE invitations SET token_hash = $3, invited_by = $4, expires_at = $5, invited_by_id = $6, sent_at = now(), version = version + 1 WHERE org_id = $1 AND id = $2 RETURNING id",
            org,
            id.0,
            token_hash,
            by,
            expires_at,
            person.0
        )
        .fetch_one(self.connection())
        .await?;
        self.invitation(id).await
    }

    /// Takes an invitation back: its link works no more.
    pub async fn remove_invitation(&mut self, id: InvitationId, expected: Option<i64>) -> Result<(), StoreError> {
        let org = self.org().0;
        let version = sqlx::query_scalar!("SELECT version FROM invitations WHERE org_id = $1 AND id = $2 FOR UPDATE", org, id.0)
            .fetch_one(self.connection())
            .await?;
        fresh(expected, version)?;
        sqlx::query!("DELETE FROM invitations WHERE org_id = $1 AND id = $2", org, id.0).execute(self.connection()).await?;
        Ok(())
    }
}

impl Store {
    /// What a link leads to; nothing where it is unknown, used, taken back or too old.
    pub async fn invited(&self, token_hash: &[u8]) -> Result<Option<Invited>, StoreError> {
        let row = sqlx::query!(
            r#"SELECT i.org_id AS "org_id!", i.org_name AS "org_name!", i.email AS "email!", i.role AS "role!", i.invited_by AS "invited_by!",
                      i.expires_at AS "expires_at!", u.id AS "account?"
               FROM invitation_of($1) i LEFT JOIN users u ON u.email_key = i.email_key"#,
            token_hash
        )
        .fetch_optional(self.pool())
        .await?;
        row.map(|row| {
            Ok(Invited {
                org: OrgId(row.org_id),
                org_name: row.org_name,
                email: row.email,
                role: parse_role(&row.role)?,
                invited_by: row.invited_by,
                expires_at: row.expires_at,
                account: row.account.map(UserId),
            })
        })
        .transpose()
    }

    /// Uses an invitation up: whoever holds its link becomes a member, with a new account where they have none. The link proves the address, as it was
    /// mailed there. `NotFound` where it does not work any more, `Conflict("email")` where the address got an account meanwhile, or is another's.
    pub async fn accept_invitation(&self, token_hash: &[u8], who: Joining<'_>) -> Result<(User, Org), StoreError> {
        let mut tx = self.pool().begin().await?;
        let found = sqlx::query!(r#"SELECT org_id AS "org_id!", id AS "id!" FROM invitation_of($1)"#, token_hash).fetch_one(&mut *tx).await?;
        sqlx::query_scalar!("SELECT set_config('waypost.org_id', $1, true)", found.org_id.to_string()).fetch_one(&mut *tx).await?;
        // Of two who use it at once, one finds it gone.
        let invitation = sqlx::query!(
            "DELETE FROM invitations WHERE org_id = $1 AND id = $2 AND token_hash = $3 RETURNING email, email_key, role",
            found.org_id,
            found.id,
            token_hash
        )
        .fetch_one(&mut *tx)
        .await?;
        let id = match who {
            Joining::With(user) => user,
            Joining::New { password_hash } => {
                let id = Uuid::now_v7();
                sqlx::query_scalar!(
                    "INSERT INTO users (id, email, email_key, password_hash) VALUES ($1, $2, $3, $4) ON CONFLICT (email_key) DO NOTHING RETURNING id",
                    id,
                    invitation.email,
                    invitation.email_key,
                    password_hash
                )
                .fetch_optional(&mut *tx)
                .await?
                .ok_or(StoreError::Conflict("email"))?;
                UserId(id)
            }
        };
        let user = sqlx::query!(
            r#"UPDATE users SET email_verified_at = coalesce(email_verified_at, now()) WHERE id = $1 AND email_key = $2
               RETURNING id, email, email_verified_at AS "email_verified_at!", created_at"#,
            id.0,
            invitation.email_key
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(StoreError::Conflict("email"))?;
        sqlx::query!(
            "INSERT INTO memberships (org_id, user_id, role) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            found.org_id,
            user.id,
            invitation.role
        )
        .execute(&mut *tx)
        .await?;
        let org = sqlx::query!(
            "SELECT o.slug, o.name, m.role FROM orgs o JOIN memberships m ON m.org_id = o.id WHERE o.id = $1 AND m.user_id = $2",
            found.org_id,
            user.id
        )
        .fetch_one(&mut *tx)
        .await?;
        let org = Org { id: OrgId(found.org_id), slug: org.slug, name: org.name, role: parse_role(&org.role)? };
        tx.commit().await?;
        Ok((User { id: UserId(user.id), email: user.email, email_verified: true, created_at: user.created_at }, org))
    }
}
