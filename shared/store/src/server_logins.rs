//! The logins that organisations have stored for their mail servers: what is shown of them, and whose turn it is to try one. One attempt at a
//! time, and none after two refusals in a row, over all regions and processes. Secrets are sealed: the store can not read them.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;
use waypost_types::{
    MonitorId, ServerId,
    outcome::{LoginLook, LoginOutcome},
    server_login::{PortLogin, REFUSALS_TO_PAUSE, SECONDS_BETWEEN, SecretKind, ServerLogin},
};

use crate::{OrgTx, StoreError, monitors::fresh, recording::storable};

/// An attempt that has not been settled by then has ended without an answer.
const ATTEMPT_SECONDS: i64 = 180;
/// A check that somebody asks for tries again at once, but not many times a minute; neither does a check of a login that is not accepted.
const SOONEST_SECONDS: i64 = 10;
/// For so long a login that was refused once is tried again at the same port alone, so that one refusal does not become one at each port.
const SAME_PORT_SECONDS: i64 = 3600;

/// A login as it is set.
#[derive(Debug, Clone, Copy)]
pub struct LoginSetting<'a> {
    /// Who logs in.
    pub user: &'a str,
    /// The secret, sealed for the server; the stored one stays when absent.
    pub secret: Option<(SecretKind, &'a [u8])>,
    /// The mechanism to use; the best of those offered when absent.
    pub mechanism: Option<&'a str>,
    /// Where it is tried.
    pub ports: &'a [u16],
    /// Whether.
    pub enabled: bool,
}

/// A login to try now. Whoever has it has to settle it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The server it is for.
    pub server: ServerId,
    /// Who logs in.
    pub user: String,
    /// The secret, sealed for organisation and server.
    pub sealed: Vec<u8>,
    /// What it is.
    pub secret_kind: SecretKind,
    /// The mechanism to use.
    pub mechanism: Option<String>,
    /// Of the stored login.
    pub version: i64,
}

/// How a login stands at a port.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LoginStand {
    /// It is the caller's turn to try it.
    pub attempt: Option<Attempt>,
    /// What the last attempt at this port brought.
    pub last: Option<LoginLook>,
    /// No attempt is made until somebody resumes it.
    pub paused: bool,
    /// It was never accepted, at any port, since its secret was stored.
    pub unproven: bool,
}

struct LoginRow {
    server_id: Uuid,
    user_name: String,
    sealed: Vec<u8>,
    secret_kind: String,
    mechanism: Option<String>,
    ports: Vec<i32>,
    enabled: bool,
    refused: i32,
    refused_port: Option<i32>,
    paused_at: Option<DateTime<Utc>>,
    trying_until: Option<DateTime<Utc>>,
    looks: Value,
    version: i64,
    changed_at: DateTime<Utc>,
    accepted_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
}

impl LoginRow {
    /// By port. What another version of the program wrote in a form of its own is as good as none.
    fn looks(&self) -> BTreeMap<u16, LoginLook> {
        let Value::Object(looks) = &self.looks else { return BTreeMap::new() };
        looks.iter().filter_map(|(port, look)| Some((port.parse().ok()?, serde_json::from_value(look.clone()).ok()?))).collect()
    }

    fn kind(&self) -> Result<SecretKind, StoreError> {
        self.secret_kind.parse().map_err(|()| StoreError::Corrupt(self.secret_kind.clone()))
    }

    fn is_tried_now(&self) -> bool {
        self.trying_until.is_some_and(|until| until > self.now)
    }

    /// Two refusals; or attempts that ended without an answer, which may have been refused.
    fn is_paused(&self) -> bool {
        self.paused_at.is_some() || (self.refused >= REFUSALS_TO_PAUSE && !self.is_tried_now())
    }

    fn may_be_tried(&self, port: u16, looks: &BTreeMap<u16, LoginLook>, spacing: TimeDelta) -> bool {
        let elsewhere = self.refused_port.filter(|_| self.refused > 0).and_then(|at| u16::try_from(at).ok()).filter(|at| *at != port);
        let waits_for = |at: u16| looks.get(&at).is_some_and(|look| look.at + TimeDelta::seconds(SAME_PORT_SECONDS) > self.now);
        let rests = |look: &LoginLook| {
            let spacing = if look.result.outcome == LoginOutcome::Accepted { spacing } else { TimeDelta::seconds(SOONEST_SECONDS) };
            look.at + spacing > self.now
        };
        !self.is_paused() && !self.is_tried_now() && !elsewhere.is_some_and(waits_for) && !looks.get(&port).is_some_and(rests)
    }

    fn shown(self) -> Result<ServerLogin, StoreError> {
        let last = self.looks().into_iter().map(|(port, look)| PortLogin { port, at: look.at, result: look.result, auth_ms: look.auth_ms }).collect();
        Ok(ServerLogin {
            server_id: ServerId(self.server_id),
            secret_kind: self.kind()?,
            paused_at: self.paused_at.or_else(|| self.is_paused().then_some(self.trying_until).flatten()),
            user: self.user_name,
            mechanism: self.mechanism,
            ports: self.ports.iter().filter_map(|port| u16::try_from(*port).ok()).collect(),
            enabled: self.enabled,
            refused: self.refused,
            last,
            version: self.version,
            changed_at: self.changed_at,
            accepted_at: self.accepted_at,
        })
    }
}

impl OrgTx {
    /// The login of a server, without its secret.
    pub async fn server_login(&mut self, server: ServerId) -> Result<ServerLogin, StoreError> {
        let org = self.org().0;
        sqlx::query_as!(
            LoginRow,
            r#"SELECT server_id, user_name, sealed, secret_kind, mechanism, ports, enabled, refused, refused_port, paused_at, trying_until, looks,
                      version, changed_at, accepted_at, now() AS "now!" FROM server_logins WHERE org_id = $1 AND server_id = $2"#,
            org,
            server.0
        )
        .fetch_one(self.connection())
        .await?
        .shown()
    }

    /// Sets the login of a server: it begins anew, without refusals. `NotFound` where the secret is to stay and there is none.
    pub async fn set_server_login(&mut self, server: ServerId, expected: Option<i64>, login: &LoginSetting<'_>) -> Result<ServerLogin, StoreError> {
        let org = self.org().0;
        let ports: Vec<i32> = login.ports.iter().map(|port| i32::from(*port)).collect();
        let seen = sqlx::query_scalar!("SELECT version FROM server_logins WHERE org_id = $1 AND server_id = $2 FOR UPDATE", org, server.0)
            .fetch_optional(self.connection())
            .await?;
        fresh(expected, seen.unwrap_or(0))?;
        if let Some((kind, sealed)) = login.secret {
            sqlx::query!(
                "INSERT INTO server_logins (org_id, server_id, user_name, sealed, secret_kind, mechanism, ports, enabled) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                 ON CONFLICT (org_id, server_id) DO UPDATE SET user_name = excluded.user_name, sealed = excluded.sealed, secret_kind = excluded.secret_kind,
                   mechanism = excluded.mechanism, ports = excluded.ports, enabled = excluded.enabled, refused = 0, refused_port = NULL, paused_at = NULL,
                   accepted_at = NULL, looks = '{}', version = server_logins.version + 1, changed_at = now()",
                org,
                server.0,
                login.user,
                sealed,
                kind.as_str(),
                login.mechanism,
                &ports,
                login.enabled
            )
            .execute(self.connection())
            .await?;
        } else {
            // What was refused stays refused: the same secret is no reason to try again.
            let done = sqlx::query!(
                "UPDATE server_logins SET mechanism = $3, ports = $4, enabled = $5, version = version + 1, changed_at = now()
                 WHERE org_id = $1 AND server_id = $2 AND user_name = $6",
                org,
                server.0,
                login.mechanism,
                &ports,
                login.enabled,
                login.user
            )
            .execute(self.connection())
            .await?;
            if done.rows_affected() == 0 {
                return Err(StoreError::NotFound);
            }
        }
        self.tell_assets(server.into()).await?;
        self.server_login(server).await
    }

    /// Lets a paused login be tried again. An attempt that is under way still counts: its answer may be a refusal.
    pub async fn resume_server_login(&mut self, server: ServerId, expected: Option<i64>) -> Result<ServerLogin, StoreError> {
        let org = self.org().0;
        let seen = sqlx::query_scalar!(
            r#"UPDATE server_logins SET refused = CASE WHEN trying_until > now() THEN 1 ELSE 0 END, refused_port = NULL, paused_at = NULL, looks = '{}', version = version + 1
               WHERE org_id = $1 AND server_id = $2 RETURNING version - 1 AS "seen!""#,
            org,
            server.0
        )
        .fetch_one(self.connection())
        .await?;
        fresh(expected, seen)?;
        self.tell_assets(server.into()).await?;
        self.server_login(server).await
    }

    /// Forgets the login of a server.
    pub async fn remove_server_login(&mut self, server: ServerId, expected: Option<i64>) -> Result<(), StoreError> {
        let org = self.org().0;
        let seen = sqlx::query_scalar!("DELETE FROM server_logins WHERE org_id = $1 AND server_id = $2 RETURNING version", org, server.0)
            .fetch_one(self.connection())
            .await?;
        fresh(expected, seen)?;
        self.tell_assets(server.into()).await
    }

    /// How the login of a monitor's server stands at a port; with the turn to try it, where that is wanted and due. An attempt counts as refused
    /// until it is settled. Where it is accepted it is due every few minutes, and not sooner than `spacing_s`; at once when somebody asks.
    /// `NotFound` where there is none.
    pub async fn take_login_turn(
        &mut self,
        monitor: MonitorId,
        port: u16,
        (wanted, requested, spacing_s): (bool, bool, i32),
    ) -> Result<LoginStand, StoreError> {
        let org = self.org().0;
        let row = sqlx::query_as!(
            LoginRow,
            r#"SELECT l.server_id, l.user_name, l.sealed, l.secret_kind, l.mechanism, l.ports, l.enabled, l.refused, l.refused_port, l.paused_at,
                      l.trying_until, l.looks, l.version, l.changed_at, l.accepted_at, clock_timestamp() AS "now!"
               FROM server_logins l JOIN monitors m ON m.org_id = $1 AND m.id = $2 AND m.server_id = l.server_id
               WHERE l.org_id = $1 AND l.enabled AND $3 = ANY (l.ports) FOR UPDATE OF l"#,
            org,
            monitor.0,
            i32::from(port)
        )
        .fetch_one(self.connection())
        .await?;
        let mut looks = row.looks();
        let usual = TimeDelta::seconds(i64::from(SECONDS_BETWEEN.max(spacing_s)));
        let spacing = if requested { TimeDelta::seconds(SOONEST_SECONDS) } else { usual };
        let try_now = wanted && row.may_be_tried(port, &looks, spacing);
        let (paused, unproven) = (row.is_paused(), row.accepted_at.is_none());
        let attempt = if try_now {
            sqlx::query!(
                "UPDATE server_logins SET refused = refused + 1, refused_port = $3, trying_until = $4 WHERE org_id = $1 AND server_id = $2",
                org,
                row.server_id,
                i32::from(port),
                row.now + TimeDelta::seconds(ATTEMPT_SECONDS)
            )
            .execute(self.connection())
            .await?;
            Some(Attempt {
                server: ServerId(row.server_id),
                secret_kind: row.kind()?,
                user: row.user_name,
                sealed: row.sealed,
                mechanism: row.mechanism,
                version: row.version,
            })
        } else {
            None
        };
        Ok(LoginStand { attempt, last: looks.remove(&port), paused, unproven })
    }

    /// Writes down that an attempt is over, what it brought, and whether it counts as refused; answers whether the login is paused by it. What was
    /// stored anew or resumed in the meantime takes no answer of before.
    pub async fn settle_login(&mut self, attempt: &Attempt, port: u16, look: &LoginLook, refused: bool) -> Result<bool, StoreError> {
        let org = self.org().0;
        sqlx::query!("UPDATE server_logins SET trying_until = NULL WHERE org_id = $1 AND server_id = $2", org, attempt.server.0)
            .execute(self.connection())
            .await?;
        let accepted = look.result.outcome == LoginOutcome::Accepted;
        let paused = sqlx::query_scalar!(
            r#"UPDATE server_logins SET looks = jsonb_set(looks, ARRAY[$4::text], $5),
                 refused = CASE WHEN $6 THEN refused WHEN $7 THEN 0 ELSE greatest(refused - 1, 0) END,
                 accepted_at = CASE WHEN $7 THEN now() ELSE accepted_at END,
                 paused_at = CASE WHEN $6 AND refused >= $8 THEN coalesce(paused_at, now()) ELSE paused_at END
               WHERE org_id = $1 AND server_id = $2 AND version = $3 RETURNING paused_at IS NOT NULL AS "paused!""#,
            org,
            attempt.server.0,
            attempt.version,
            port.to_string(),
            storable(look)?,
            refused,
            accepted,
            REFUSALS_TO_PAUSE
        )
        .fetch_optional(self.connection())
        .await?;
        Ok(paused.unwrap_or(false))
    }
}

#[cfg(test)]
mod tests {
    use waypost_types::outcome::LoginReport;

    use super::*;

    fn row(refused: i32, paused: bool, trying: Option<i64>) -> LoginRow {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        LoginRow {
            server_id: Uuid::nil(),
            user_name: "u".to_owned(),
            sealed: Vec::new(),
            secret_kind: "password".to_owned(),
            mechanism: None,
            ports: vec![465, 587],
            enabled: true,
            refused,
            refused_port: Some(587),
            paused_at: paused.then_some(now),
            trying_until: trying.map(|seconds| now + TimeDelta::seconds(seconds)),
            looks: Value::Null,
            version: 1,
            changed_at: now,
            accepted_at: None,
            now,
        }
    }

    fn looks(port: u16, outcome: LoginOutcome, ago: i64) -> BTreeMap<u16, LoginLook> {
        let at = row(0, false, None).now - TimeDelta::seconds(ago);
        let result = LoginReport { mechanism: None, outcome, reason: String::new() };
        [(port, LoginLook { result, ..LoginLook::untried(at, "") })].into()
    }

    #[test]
    fn a_login_is_tried_by_one_at_a_time_and_never_after_two_refusals() {
        use LoginOutcome::{Accepted, Failed, Refused};
        let usual = TimeDelta::seconds(300);
        for (what, row, port, known, wanted) in [
            ("new", row(0, false, None), 587, BTreeMap::new(), true),
            ("accepted lately", row(0, false, None), 587, looks(587, Accepted, 200), false),
            ("accepted a while ago", row(0, false, None), 587, looks(587, Accepted, 300), true),
            ("accepted at another port", row(0, false, None), 465, looks(587, Accepted, 1), true),
            ("failed just now", row(0, false, None), 587, looks(587, Failed, 5), false),
            ("failed at the last check", row(0, false, None), 587, looks(587, Failed, 30), true),
            ("another tries", row(1, false, Some(10)), 465, BTreeMap::new(), false),
            ("refused once", row(1, false, None), 587, looks(587, Refused, 30), true),
            ("refused once elsewhere", row(1, false, None), 465, looks(587, Refused, 30), false),
            ("refused once where nobody looks any more", row(1, false, None), 465, looks(587, Refused, 3600), true),
            ("the one before ended without an answer", row(1, false, Some(-1)), 587, BTreeMap::new(), true),
            ("two ended without an answer", row(2, false, Some(-1)), 587, BTreeMap::new(), false),
            ("the second is under way", row(2, false, Some(10)), 587, looks(587, Refused, 30), false),
            ("paused", row(2, true, None), 587, looks(587, Refused, 9999), false),
        ] {
            assert_eq!(row.may_be_tried(port, &known, usual), wanted, "{what}");
        }
        assert!(row(2, false, Some(-1)).is_paused() && !row(2, false, Some(10)).is_paused());
    }
}
