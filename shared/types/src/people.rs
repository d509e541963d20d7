//! The people of an organisation: members, and who is invited to become one.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    account::Role,
    id::{InvitationId, UserId},
};

/// Open invitations of an organisation at most.
pub const MOST_INVITATIONS: usize = 100;
/// Days that the link of an invitation works.
pub const INVITATION_DAYS: i64 = 7;

/// A member of an organisation, as its members see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrgMember {
    /// The person.
    pub id: UserId,
    /// Their address.
    pub email: String,
    /// Whether they proved that the address is theirs; nobody else is mailed about incidents.
    pub email_verified: bool,
    /// What they may do.
    pub role: Role,
    /// Since when.
    pub joined_at: DateTime<Utc>,
    /// Raised by every change; `If-Match: "3"`.
    pub version: i64,
}

/// `PATCH members/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MemberPatch {
    /// What they may do from now on.
    pub role: Role,
}

/// Somebody who is invited and has not come yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// Whom it is for.
    pub email: String,
    /// What they will be.
    pub role: Role,
    /// Who invited them.
    pub invited_by: String,
    /// When the newest link was mailed.
    pub sent_at: DateTime<Utc>,
    /// Until when that link works.
    pub expires_at: DateTime<Utc>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Raised by every change; `If-Match: "3"`.
    pub version: i64,
}

/// `POST invitations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    /// Whom it is for.
    pub email: String,
    /// What they will be.
    pub role: Role,
}

/// `POST invitations/look`: what the link of an invitation leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InvitationSeen {
    /// The organisation's name.
    pub organisation: String,
    /// Whom it is for.
    pub email: String,
    /// What they will be.
    pub role: Role,
    /// Who invited them.
    pub invited_by: String,
    /// Until when the link works.
    pub expires_at: DateTime<Utc>,
    /// Whether that address has an account: then it takes signing in, and no new password. Only who holds the link of its mail learns this.
    pub has_account: bool,
    /// Whether the caller is signed in with that account.
    pub signed_in: bool,
}

/// The link of an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct InvitationLink {
    /// From the link in the mail.
    pub token: String,
}

/// `POST invitations/accept`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AcceptInvitation {
    /// From the link in the mail.
    pub token: String,
    /// The password of a new account, 10 to 256 characters; absent where the caller is signed in with the account that the address has.
    #[serde(default)]
    pub password: Option<String>,
}
