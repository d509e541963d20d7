//! JSON bodies: bounded in size and time, and answered with the field at fault. To be the last argument of a handler, so that permission
//! is judged before a byte of the body is read.

use std::time::Duration;

use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
    http::header,
};
use serde::de::DeserializeOwned;

use crate::http::problem::ApiError;

/// The largest body that is taken: a pasted message with a picture in it is larger, its header never is.
pub const MAX_BODY: usize = 256 * 1024;
const BODY_TIME: Duration = Duration::from_secs(15);

/// A parsed JSON body.
#[derive(Debug, Clone)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
            .is_some_and(|kind| kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json")));
        if !json {
            return Err(ApiError::UnsupportedMediaType);
        }
        parse(&read(request).await?).map(Self)
    }
}

/// The body's bytes, within the limits of size and time.
pub async fn read(request: Request) -> Result<axum::body::Bytes, ApiError> {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|value| value.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BODY) {
        return Err(ApiError::TooLarge);
    }
    match tokio::time::timeout(BODY_TIME, to_bytes(request.into_body(), MAX_BODY)).await {
        Err(_) => Err(ApiError::TooSlow),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_too_large(&error) => Err(ApiError::TooLarge),
        Ok(Err(_)) => Err(ApiError::Malformed("it broke off".to_owned())),
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if cause.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        source = cause.source();
    }
    false
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // PostgreSQL's text holds no NUL; nobody types one on purpose.
    if bytes.windows(6).any(|six| six == b"\\u0000") {
        return Err(ApiError::Malformed("it holds the character NUL".to_owned()));
    }
    // serde would take an array for an object, its fields in order; nobody means that.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|byte| *byte != b'{') {
        return Err(match serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
            Ok(_) => ApiError::field("body", "Send a JSON object."),
            Err(error) => ApiError::Malformed(error.to_string()),
        });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if !inner.is_data() {
            return ApiError::Malformed(inner.to_string());
        }
        let message = inner.to_string();
        let message = in_words(message.split(" at line ").next().unwrap_or_default());
        let field = if path == "." { message.split('`').nth(1).unwrap_or("body").to_owned() } else { path };
        ApiError::field(&field, message)
    })?;
    deserializer.end().map_err(|error| ApiError::Malformed(error.to_string()))?;
    Ok(value)
}

/// serde names the types of Rust, which mean nothing to who sends JSON.
fn in_words(message: &str) -> String {
    let Some((said, wanted)) = message.rsplit_once("expected ") else { return message.to_owned() };
    let wanted = match wanted {
        "u8" | "u16" | "u32" | "u64" => "a whole number that is not negative and not too large",
        "i8" | "i16" | "i32" | "i64" => "a whole number that is not too large",
        "f32" | "f64" => "a number",
        other => other,
    };
    format!("{said}expected {wanted}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Sample {
        name: String,
        #[serde(default)]
        ports: Vec<u16>,
    }

    fn field(text: &str) -> String {
        match parse::<Sample>(text.as_bytes()).unwrap_err() {
            ApiError::Invalid(errors) => errors[0].field.clone(),
            ApiError::Malformed(_) => "malformed".to_owned(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn the_field_at_fault_is_named() {
        assert_eq!(field("{}"), "name");
        assert_eq!(field(r#"{"name":3}"#), "name");
        assert_eq!(field(r#"{"name":"a","colour":1}"#), "colour");
        assert_eq!(field(r#"{"name":"a","ports":[1,"b"]}"#), "ports[1]");
        assert_eq!(field(r#"["a"]"#), "body");
        assert_eq!(field("{"), "malformed");
        assert_eq!(field(r#"{"name":"a"} x"#), "malformed");
        assert_eq!(field(r#"{"name":"a\u0000"}"#), "malformed");
    }
}
