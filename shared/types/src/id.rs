//! Typed, prefixed ids: `dom_` + 32 hex digits of a UUID version 7. The prefix tells a person what an id names; the type keeps code
//! from mixing them up. Ids are made by the store and by nobody else.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is no id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id of this kind looks like {prefix}_ followed by 32 hexadecimal digits")]
pub struct IdError {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(pub Uuid);

        impl $name {
            /// The prefix of the written form.
            pub const PREFIX: &'static str = $prefix;
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .filter(|digits| digits.len() == 32)
                    .and_then(|digits| Uuid::try_parse(digits).ok())
                    .map(Self)
                    .ok_or(IdError { prefix: $prefix })
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self { id.to_string() }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> { text.parse() }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .pattern(Some(concat!("^", $prefix, "_[0-9a-f]{32}$")))
                    .into()
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}
    )*};
}

ids! {
    /// A person who can sign in.
    UserId = "usr";
    /// An organisation (tenant).
    OrgId = "org";
    /// A watched domain.
    DomainId = "dom";
    /// A watched mail server (a host with ports).
    ServerId = "srv";
    /// A watched IP address or network.
    AddressId = "adr";
    /// What is checked, how often and from where.
    MonitorId = "mon";
    /// Something that broke, from its opening to its end.
    IncidentId = "inc";
    /// One line of an incident's timeline.
    TimelineId = "tml";
    /// One recorded run of a check.
    ResultId = "res";
    /// Where an organisation is told of incidents.
    ChannelId = "chn";
    /// A change that somebody marked.
    ChangeId = "chg";
    /// One attempt to tell a channel something.
    DeliveryId = "dlv";
    /// A maintenance window.
    WindowId = "mnt";
    /// Who is told of which incidents.
    RouteId = "rte";
    /// A group of addresses.
    PoolId = "ipp";
    /// A rule that opens incidents.
    RuleId = "rul";
    /// An invitation to an organisation.
    InvitationId = "inv";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_prints_and_refuses_others() {
        let id = DomainId(Uuid::from_u128(7));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().parse::<ServerId>().is_err());
        assert!("dom_zz".parse::<DomainId>().is_err());
        assert!("dom_00000000-0000-0000-0000-000000000007".parse::<DomainId>().is_err());
    }
}
