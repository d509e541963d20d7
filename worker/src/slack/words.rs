//! Slack's words for what went wrong, as people read them, and what each means for another try.

/// What it means, and what to do.
pub(super) fn explained(word: &str) -> String {
    let words = match word {
        "not_in_channel" => "the app is not in this channel. Invite it there: /invite @Waypost",
        "channel_not_found" => "the workspace has no such channel, or it is private and the app is not in it. Invite it there: /invite @Waypost",
        "is_archived" => "the channel is archived. Choose another one",
        "restricted_action" | "restricted_action_read_only_channel" | "restricted_action_thread_only_channel" => {
            "the workspace's rules do not let the app write in this channel"
        }
        "missing_scope" | "no_permission" => "the app lacks a permission. Add it to Slack again",
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" | "app_uninstalled" | "tokens_revoked" => {
            "the workspace lets the app in no more. Add it to Slack again"
        }
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => "Slack asks for fewer messages",
        "message_not_found" | "cant_update_message" | "edit_window_closed" => "the message is gone from the channel or can not be changed any more",
        "invalid_code" | "code_already_used" | "invalid_code_verifier" => "what Slack sent you back with is used up or too old. Begin again",
        "bad_redirect_uri" | "invalid_client_id" | "bad_client_secret" => {
            "the app's settings at Slack and those of this installation do not agree. Whoever runs it has to compare them"
        }
        _ => return format!("Slack refuses: {}", word.chars().filter(char::is_ascii_graphic).take(60).collect::<String>()),
    };
    format!("{words} ({word})")
}

/// The bot's token is worth nothing any more.
pub(super) fn is_about_the_token(word: &str) -> bool {
    matches!(word, "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" | "app_uninstalled")
}

/// Worth another try.
pub(super) fn passes(word: &str) -> bool {
    matches!(
        word,
        "ratelimited"
            | "rate_limited"
            | "message_limit_exceeded"
            | "internal_error"
            | "fatal_error"
            | "service_unavailable"
            | "request_timeout"
            | "team_added_to_org"
            | "accesslimited"
    )
}

/// The message that was to be changed is not there any more.
pub(super) fn message_is_gone(word: &str) -> bool {
    matches!(word, "message_not_found" | "cant_update_message" | "edit_window_closed")
}
