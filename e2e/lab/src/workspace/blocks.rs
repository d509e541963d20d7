//! What Slack refuses of a message's form: the limits of Block Kit (<https://docs.slack.dev/reference/block-kit/blocks>).

use serde_json::Value;

const MOST_BLOCKS: usize = 50;
const MOST_TEXT: usize = 40_000;

/// Slack's word for what is wrong with a message, if something is.
pub fn refused(text: &str, blocks: &Value, attachments: &Value) -> Option<&'static str> {
    let attached = attachments.as_array().map(Vec::as_slice).unwrap_or_default();
    if text.is_empty() && blocks.is_null() && attached.is_empty() {
        return Some("no_text");
    }
    if text.chars().count() > MOST_TEXT {
        return Some("msg_too_long");
    }
    if attached.len() > 100 {
        return Some("too_many_attachments");
    }
    if !fine(blocks) {
        return Some("invalid_blocks");
    }
    attached.iter().any(|one| !fine(&one["blocks"])).then_some("invalid_attachments")
}

fn fine(blocks: &Value) -> bool {
    match blocks {
        Value::Null => true,
        Value::Array(blocks) => blocks.len() <= MOST_BLOCKS && blocks.iter().all(block),
        _ => false,
    }
}

fn block(block: &Value) -> bool {
    let list = |name: &str, most: usize| block[name].as_array().filter(|list| (1..=most).contains(&list.len()));
    match block["type"].as_str() {
        Some("header") => block["text"]["type"] == "plain_text" && words(&block["text"], 150),
        Some("section") => {
            let fields = list("fields", 10).is_some_and(|fields| fields.iter().all(|field| words(field, 2_000)));
            match &block["text"] {
                Value::Null => fields,
                text => words(text, 3_000) && (block["fields"].is_null() || fields),
            }
        }
        Some("context") => list("elements", 10).is_some_and(|elements| elements.iter().all(|element| words(element, 2_000))),
        Some("actions") => list("elements", 25).is_some_and(|elements| {
            let ids: std::collections::BTreeSet<&str> = elements.iter().filter_map(|element| element["action_id"].as_str()).collect();
            ids.len() == elements.len() && elements.iter().all(button)
        }),
        Some("divider") => true,
        _ => false,
    }
}

fn button(element: &Value) -> bool {
    let id = element["action_id"].as_str().is_some_and(|id| (1..=255).contains(&id.len()));
    element["type"] == "button" && id && element["text"]["type"] == "plain_text" && words(&element["text"], 75)
}

fn words(text: &Value, most: usize) -> bool {
    matches!(text["type"].as_str(), Some("plain_text" | "mrkdwn"))
        && text["text"].as_str().is_some_and(|text| (1..=most).contains(&text.chars().count()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_slack_would_refuse_is_refused() {
        let header = |length: usize| json!([{ "type": "header", "text": { "type": "plain_text", "text": "x".repeat(length) } }]);
        let buttons = |ids: &[&str]| {
            let elements: Vec<Value> =
                ids.iter().map(|id| json!({ "type": "button", "action_id": id, "text": { "type": "plain_text", "text": "Go" } })).collect();
            json!([{ "type": "actions", "elements": elements }])
        };
        for (blocks, fits) in [
            (json!(null), true),
            (header(150), true),
            (header(151), false),
            (header(0), false),
            (buttons(&["a", "b"]), true),
            (buttons(&["a", "a"]), false),
            (buttons(&[]), false),
            (json!([{ "type": "section", "text": { "type": "html", "text": "x" } }]), false),
            (json!([{ "type": "poem" }]), false),
            (Value::Array(vec![json!({ "type": "divider" }); 51]), false),
            (json!("blocks"), false),
        ] {
            assert_eq!(refused("x", &blocks, &json!(null)).is_none(), fits, "{blocks}");
            assert_eq!(refused("x", &json!(null), &json!([{ "blocks": blocks }])).is_none(), fits, "{blocks}");
        }
        assert_eq!(refused("", &json!(null), &json!(null)), Some("no_text"));
    }
}
