//! The one table of what roles may do. Everything else asks it: the door of the API, the pages, and the page that shows it.

use crate::account::Role;

/// A kind of thing to do in an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// See all that is there.
    See,
    /// Acknowledge, comment, mute and resolve incidents.
    Handle,
    /// Add, change and remove what is watched, with its rules, windows, lists and runbooks.
    Watch,
    /// Decide who is told, and what holds for the organisation as a whole.
    Tell,
    /// Invite and remove people, and change what they may do.
    People,
    /// Make owners, and change or remove them.
    Own,
}

impl Action {
    /// All, in the order of the table.
    pub const ALL: [Self; 6] = [Self::See, Self::Handle, Self::Watch, Self::Tell, Self::People, Self::Own];

    /// The weakest role that may.
    pub const fn least(self) -> Role {
        match self {
            Self::See => Role::Viewer,
            Self::Handle | Self::Watch => Role::Editor,
            Self::Tell | Self::People => Role::Admin,
            Self::Own => Role::Owner,
        }
    }

    /// What people read.
    pub const fn words(self) -> &'static str {
        match self {
            Self::See => "See everything",
            Self::Handle => "Acknowledge, comment, mute and resolve incidents",
            Self::Watch => "Add, change and remove monitors, rules, maintenance and runbooks",
            Self::Tell => "Channels, routes and settings",
            Self::People => "Invite and remove people, change their roles",
            Self::Own => "Make owners, change and remove them",
        }
    }
}

/// Why somebody may not change what another is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Their role is below what it takes.
    #[error("it takes the role {}", .0.as_str())]
    Needs(Role),
}

impl Role {
    /// Whether it may do this.
    pub fn may(self, action: Action) -> bool {
        self >= action.least()
    }

    /// Whether who has this role may make somebody `to` who was `from`; nothing stands for no member. Owners are made and unmade by owners.
    ///
    /// # Errors
    /// Says which role it takes.
    pub fn may_change(self, from: Option<Self>, to: Option<Self>) -> Result<(), Forbidden> {
        let action = if from == Some(Self::Owner) || to == Some(Self::Owner) { Action::Own } else { Action::People };
        if self.may(action) { Ok(()) } else { Err(Forbidden::Needs(action.least())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_what_was_decided() {
        let may: Vec<String> =
            Action::ALL.into_iter().map(|action| Role::ALL.into_iter().map(|role| if role.may(action) { 'x' } else { '-' }).collect()).collect();
        // viewer, editor, admin, owner
        assert_eq!(may, ["xxxx", "-xxx", "-xxx", "--xx", "--xx", "---x"]);
    }

    #[test]
    fn owners_are_made_and_unmade_by_owners_alone() {
        let anybody = [None, Some(Role::Viewer), Some(Role::Editor), Some(Role::Admin), Some(Role::Owner)];
        for have in Role::ALL {
            for (from, to) in anybody.into_iter().flat_map(|from| anybody.map(|to| (from, to))) {
                let owners = from == Some(Role::Owner) || to == Some(Role::Owner);
                let expected = if owners { have == Role::Owner } else { have >= Role::Admin };
                assert_eq!(have.may_change(from, to).is_ok(), expected, "{have:?}: {from:?} to {to:?}");
            }
        }
    }
}
