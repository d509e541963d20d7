//! Mails to the people who run this installation.

use super::{Mail, layout::Letter};

/// Lists named; the rest is counted.
const MOST_LISTS: usize = 25;

/// Block lists are set aside: their zones and why.
pub fn lists_set_aside(region: &str, base_url: &str, lists: &[(String, String)]) -> Mail {
    let count = lists.len();
    let what = if count == 1 { "1 block list is set aside".to_owned() } else { format!("{count} block lists are set aside") };
    let url = format!("{base_url}/readyz");
    let mut paragraphs = vec![
        format!("The worker of region {region} can not believe what these lists answer, so it asks them nothing: everybody who watches addresses there sees “not known” for them, never a listing and never an all-clear."),
        "Most often the resolver is a public or shared one, which the operators of block lists refuse. A recursive resolver of your own (WAYPOST_RESOLVER) helps.".to_owned(),
    ];
    if count > MOST_LISTS {
        paragraphs.push(format!("The first {MOST_LISTS} of them:"));
    }
    Letter {
        subject: format!("[Waypost operator] {what} in region {region}"),
        heading: what,
        accent: "#b45309",
        paragraphs,
        written: None,
        guide: None,
        facts: lists.iter().take(MOST_LISTS).map(|(zone, reason)| (zone.as_str(), reason.clone())).collect(),
        button: Some(("See what is set aside now", &url)),
        footer: "You get this mail because WAYPOST_OPERATORS names your address.".to_owned(),
    }
    .render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notice_names_the_lists_and_counts_the_rest() {
        let one = [("bl.example.net".to_owned(), "it lists the whole world".to_owned())];
        let mail = lists_set_aside("local", "https://waypost.example", &one);
        insta::assert_snapshot!("lists_set_aside_text", mail.text);
        assert!(mail.subject.contains("1 block list is set aside in region local"));
        let many: Vec<(String, String)> = (0..40).map(|n| (format!("bl{n}.example.net"), "refused".to_owned())).collect();
        let mail = lists_set_aside("local", "https://waypost.example", &many);
        assert!(mail.text.contains("The first 25 of them:") && mail.text.contains("bl24.example.net") && !mail.text.contains("bl25.example.net"));
    }
}
