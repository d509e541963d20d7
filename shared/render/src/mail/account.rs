//! Mails to people about their own account.

use super::{Mail, layout::Letter};

const ACCENT: &str = "#1f4fd8";

/// Asks to prove that the address is theirs. `url` holds the secret.
pub fn verification(url: &str) -> Mail {
    Letter {
        subject: "Confirm your email address for Waypost".to_owned(),
        heading: "Confirm your email address".to_owned(),
        accent: ACCENT,
        paragraphs: vec![
            "You signed up for Waypost with this address. Confirm it to invite others and to watch more than 25 things.".to_owned(),
            "The link works once, for the next 24 hours.".to_owned(),
        ],
        written: None,
        guide: None,
        facts: Vec::new(),
        button: Some(("Confirm address", url)),
        footer: "If you did not sign up, ignore this mail: without the link nobody can use your address for more than a trial.".to_owned(),
    }
    .render()
}

/// Invites somebody to an organisation, `role` as people read it. `url` holds the secret. The organisation's name is what its people chose, and this
/// goes to strangers: it stands in quotes, and the caller gives none that would become a link.
pub fn invitation(organisation: &str, by: &str, role: &str, url: &str) -> Mail {
    Letter {
        subject: format!("{by} invites you to “{organisation}” on Waypost"),
        heading: format!("Join “{organisation}”"),
        accent: ACCENT,
        paragraphs: vec![
            format!("{by} invites you to “{organisation}” as {role}. Waypost watches whether the mail of a company arrives."),
            "The link works once, for the next 7 days, and for this address only.".to_owned(),
        ],
        written: None,
        guide: None,
        facts: Vec::new(),
        button: Some(("Look at the invitation", url)),
        footer: "If you do not know who this is, ignore this mail: nothing happens without the link.".to_owned(),
    }
    .render()
}

/// Lets somebody who forgot their password choose another. `url` holds the secret.
pub fn password_reset(url: &str) -> Mail {
    Letter {
        subject: "Choose a new password for Waypost".to_owned(),
        heading: "Choose a new password".to_owned(),
        accent: ACCENT,
        paragraphs: vec![
            "Somebody, probably you, asked for a new password for the Waypost account with this address.".to_owned(),
            "The link works once, for the next hour. Your old password stays valid until you choose another.".to_owned(),
        ],
        written: None,
        guide: None,
        facts: Vec::new(),
        button: Some(("Choose a new password", url)),
        footer: "If you did not ask for this, ignore this mail: nothing changes.".to_owned(),
    }
    .render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_mails_read_well() {
        insta::assert_snapshot!("verification_text", verification("https://waypost.example/verify?token=abc").text);
        insta::assert_snapshot!("password_reset_text", password_reset("https://waypost.example/reset?token=abc").text);
        insta::assert_snapshot!("password_reset_html", password_reset("https://waypost.example/reset?token=a&b=\"c").html);
    }
}
