//! The tokens by which organisations prove that a domain is theirs: TXT records at `_waypost-verify` below it.

use waypost_types::{DomainName, asset::Ownership};

use super::texts;
use crate::net::Net;

/// Tokens taken from one name: so many organisations may watch a domain that is theirs.
const MOST_TOKENS: usize = 20;
/// Characters of a token.
const LONGEST: usize = 64;

/// What could not be told is as if there were none: a proof holds for some days.
pub(super) async fn tokens(net: &Net, domain: &DomainName) -> Vec<String> {
    let records = texts(net, &Ownership::name_of(domain)).await.found();
    let tokens = records.iter().filter_map(|record| Ownership::token_in(record)).filter(|token| (1..=LONGEST).contains(&token.len()));
    tokens.take(MOST_TOKENS).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tests::Server;

    #[tokio::test]
    async fn tokens_stand_in_records_of_their_own_form() {
        let records = [
            ("_waypost-verify.e.example", "TXT waypost-verify=abc"),
            ("_waypost-verify.e.example", "TXT  Waypost-Verify = def "),
            ("_waypost-verify.e.example", "TXT google-site-verification=x"),
            ("_waypost-verify.e.example", "TXT waypost-verify="),
            ("e.example", "TXT waypost-verify=elsewhere"),
        ];
        let server = Server::start(&records, &[]).await;
        assert_eq!(tokens(&server.net(), &"e.example".parse().unwrap()).await, ["abc", "def"]);
        assert!(tokens(&server.net(), &"other.example".parse().unwrap()).await.is_empty());
    }
}
