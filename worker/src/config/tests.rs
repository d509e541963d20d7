use super::*;

fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::read(&|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
}

const DEV: [(&str, &str); 2] = [("WAYPOST_ENV", "development"), ("DATABASE_URL", "postgres://u@h/d")];

#[test]
fn development_needs_a_database_and_nothing_else() {
    let config = read(&DEV).unwrap();
    assert_eq!(config.base_url, "http://127.0.0.1:3000");
    assert_eq!(config.mail_from.to_string(), "Waypost <waypost@localhost>");
    assert_eq!(config.ehlo_name, "localhost");
    assert!(config.smtp_url.is_none() && config.secret_key.is_none());
}

#[test]
fn every_error_names_its_variable() {
    let key = "0123456789abcdef0123456789abcdef";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], "DATABASE_URL"),
        (&[("DATABASE_URL", "mysql://x")], "DATABASE_URL"),
        (&[("DATABASE_URL", "postgres://u@h/d"), ("WAYPOST_SECRET_KEY", key)], "WAYPOST_SMTP_URL"),
        (&[("DATABASE_URL", "postgres://u@h/d"), ("WAYPOST_SMTP_URL", "smtp://h:25")], "WAYPOST_SECRET_KEY"),
        (&[("DATABASE_URL", "postgres://u@h/d"), ("WAYPOST_SMTP_URL", "smtp://h:25"), ("WAYPOST_SECRET_KEY", "short")], "WAYPOST_SECRET_KEY"),
        (&[DEV[0], DEV[1], ("WAYPOST_SMTP_URL", "gopher://x")], "WAYPOST_SMTP_URL"),
        (&[DEV[0], DEV[1], ("WAYPOST_LISTEN", "3000")], "WAYPOST_LISTEN"),
        (&[DEV[0], DEV[1], ("WAYPOST_BASE_URL", "waypost.example.com")], "WAYPOST_BASE_URL"),
        (&[DEV[0], DEV[1], ("WAYPOST_RESOLVER", "127.0.0.1")], "WAYPOST_RESOLVER"),
        (&[DEV[0], DEV[1], ("WAYPOST_EGRESS_ALLOW", "10.0.0.0/99")], "WAYPOST_EGRESS_ALLOW"),
        (&[DEV[0], DEV[1], ("WAYPOST_SIGNUP", "maybe")], "WAYPOST_SIGNUP"),
        (&[DEV[0], DEV[1], ("WAYPOST_MAIL_FROM", "nobody")], "WAYPOST_MAIL_FROM"),
        (&[DEV[0], DEV[1], ("WAYPOST_RESOLVER_TRUST_AD", "2")], "WAYPOST_RESOLVER_TRUST_AD"),
        (&[DEV[0], DEV[1], ("WAYPOST_CA_FILE", "/nowhere/ca.pem")], "WAYPOST_CA_FILE"),
        (&[DEV[0], ("DATABASE_URL_FILE", "/nowhere/url")], "DATABASE_URL"),
        (&[DEV[0], DEV[1], ("DATABASE_URL_FILE", "/nowhere/url")], "DATABASE_URL"),
        (&[("WAYPOST_ENV", "staging")], "WAYPOST_ENV"),
        (&[DEV[0], DEV[1], ("WAYPOST_SLACK_CLIENT_ID", "1.2"), ("WAYPOST_SLACK_CLIENT_SECRET", "x")], "WAYPOST_SLACK_SIGNING_SECRET is not set"),
        (&[DEV[0], DEV[1], ("WAYPOST_SLACK_SIGNING_SECRET", "x")], "WAYPOST_SLACK_CLIENT_ID is not set"),
        (&[DEV[0], DEV[1], ("WAYPOST_SLACK_API_URL", "http://slack.example/api")], "WAYPOST_SLACK_API_URL"),
    ];
    for (pairs, variable) in cases {
        let error = read(pairs).unwrap_err().to_string();
        assert!(error.contains(variable), "{pairs:?} → {error}");
    }
}

#[test]
fn a_file_gives_the_value_and_passwords_do_not_print() {
    let path = std::env::temp_dir().join(format!("waypost-config-{}", std::process::id()));
    std::fs::write(&path, "postgres://u:hunter2@h/d\n").unwrap();
    let config = read(&[DEV[0], ("DATABASE_URL_FILE", path.to_str().unwrap())]).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(config.database_url.expose_secret(), "postgres://u:hunter2@h/d");
    assert!(!format!("{config:?}").contains("hunter2"));
}
