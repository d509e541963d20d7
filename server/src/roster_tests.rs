use super::*;

fn egress() -> Egress {
    Egress::Guarded { allow: Vec::new() }
}

fn faults(text: &str) -> Vec<String> {
    match read(text, &egress()) {
        Err(ApiError::Invalid(errors)) => errors.into_iter().map(|error| error.message).collect(),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_table_is_read_whatever_program_wrote_it() {
    let plain = "kind,target,ports,tags,interval_s,paused\nserver,Mail.Example.com,25 587,\"web berlin\",600,no\n";
    let others = [
        "\u{feff}kind;target;ports;tags;interval_s;paused\r\nserver;Mail.Example.com;25, 587;web berlin;600;FALSE\r\n",
        "target\tKind\tports\ttags\tinterval_s\tpaused\r\nMail.Example.com\tServer\t25 587\tberlin,web\t600\t0\r\n\r\n;\r\n"
            .trim_end_matches(";\r\n"),
        "Kind , Target,ports,tags,interval_s,paused,role,settings\n\n server , Mail.Example.com , 25 587 , Berlin WEB , 600 , no,,\n,,,,,,,\n",
    ];
    let line = |text: &str| read(text, &egress()).unwrap().remove(0);
    let expected = line(plain);
    assert_eq!(
        (&expected.thing, expected.tags.as_deref(), expected.interval_s, expected.paused),
        (
            &Thing::Server { host: "mail.example.com".to_owned(), ports: Some(vec![25, 587]), role: None },
            Some(["berlin".to_owned(), "web".to_owned()].as_slice()),
            Some(600),
            Some(false)
        )
    );
    for text in others {
        assert_eq!(Line { number: 2, ..line(text) }, expected, "{text}");
    }
    assert_eq!(line("kind,target\n\ndomain,bücher.example\n").number, 3);
}

#[test]
fn every_fault_is_told_with_its_line_and_its_column() {
    let header = "kind,target,ports,role,tags,interval_s,paused,settings,pool";
    for (line, said) in [
        ("pigeon,example.com,,,,,,", "Line 2, kind: “pigeon” is no kind"),
        ("domain,exa mple,,,,,,", "Line 2, target:"),
        ("domain,example.com,25,,,,,", "Line 2, ports: Only mail servers have it"),
        ("tcp,example.com:443,,relay,,,,", "Line 2, role: Only mail servers have it"),
        ("domain,example.com,,,,,,{}", "Line 2, settings: Only services have it"),
        ("server,mail.example.com,26,,,,,", "Line 2, ports: 26 is no port"),
        ("server,mail.example.com,smtp,,,,,", "Line 2, ports: “smtp” is no port"),
        ("server,mail.example.com,,boss,,,,", "Line 2, role: Give one of originating"),
        ("server,127.0.0.1,,,,,,", "Line 2, target:"),
        ("domain,example.com,,,,,,,news", "Line 2, pool: Only addresses have it"),
        ("address,203.0.113.7,,,,,,,two words", "Line 2, pool: Give 1 to 25 letters"),
        ("address,203.0.113.0/20,,,,,,", "Line 2, target:"),
        ("domain,example.com,,,a_b!,,,", "Line 2, tags: “a_b!” is no tag"),
        ("domain,example.com,,,,60,,", "Line 2, interval_s: Give 3600 to 86400 seconds."),
        ("domain,example.com,,,,hourly,,", "Line 2, interval_s: Give seconds as a whole number."),
        ("domain,example.com,,,,,maybe,", "Line 2, paused: Give true or false."),
        ("https,https://example.com/,,,,,,{\"x\":1}", "Line 2, settings:"),
        ("tcp,example.com:22,,,,,,", "Line 2, target: 22 is no port for this check"),
    ] {
        let told = faults(&format!("{header}\n{line}\n"));
        assert!(told.len() == 1 && told[0].starts_with(said), "{line}: {told:?}");
    }
    let every = faults(&format!("{header}\nserver,127.0.0.1,26,boss,a_b!,5,maybe,{{}},news\n"));
    let fields: Vec<&str> = every.iter().filter_map(|said| said.strip_prefix("Line 2, ")?.split_once(':')).map(|(field, _)| field).collect();
    assert_eq!(fields, ["pool", "settings", "target", "ports", "role", "tags", "interval_s", "paused"], "{every:?}");
    let all = faults(&format!("{header}\ndomain,-,,,,,,\ndomain,example.com\ndomain,EXAMPLE.com.\nserver,mail.example.com,,,,,,\n"));
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all[1].contains("Line 4, target: example.com stands in line 3 already."), "{all:?}");
    let many = "domain,-\n".repeat(60);
    let told = faults(&format!("kind,target\n{many}"));
    assert_eq!((told.len(), told[50].as_str()), (51, "And 10 more."));
}

#[test]
fn what_is_no_table_says_what_one_looks_like() {
    for (text, said) in [
        ("", "The header does not name kind"),
        ("kind\ndomain\n", "The header does not name target"),
        ("kind,target\n", "There is no line below the header."),
        ("kind,target,colour\n", "“colour” is no column"),
        ("kind,target,Kind\n", "The column kind stands in the header twice."),
        ("example.com\nexample.net\n", "“example.com” is no column"),
    ] {
        let told = faults(text);
        assert!(told.len() == 1 && told[0].starts_with(said), "{text}: {told:?}");
    }
    let long = (0..=MOST_LINES).map(|number| format!("domain,d{number}.example")).collect::<Vec<_>>().join("\n");
    assert!(faults(&format!("kind,target\n{long}"))[0].contains("500 lines at most"));
    // An open quote, other bytes, no end: an answer, never a panic.
    for odd in ["kind,target\n\"domain,example.com\n", "kind,target\ndomain,\u{0}\n", "\"", "kind,target\ndomain,\"a\"b\"\n"] {
        assert!(read(odd, &egress()).is_err(), "{odd:?}");
    }
}

#[test]
fn what_is_written_is_read_back_and_computes_nothing() {
    let row = |kind: &str, target: &str, tags: &[&str], settings: Option<ServiceSettings>| RosterRow {
        kind: kind.to_owned(),
        target: target.to_owned(),
        ports: if kind == "server" { vec![25, 465] } else { Vec::new() },
        role: (kind == "server").then(|| "relay".to_owned()),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        interval_s: Some(3600),
        paused: Some(true),
        settings,
        pool: (kind == "address").then(|| "-x".to_owned()),
    };
    let settings: ServiceSettings = serde_json::from_value(serde_json::json!({ "begins_with": "220 \"=1+1\", ok" })).unwrap();
    let text = write(vec![
        row("domain", "example.com", &["-cmd", "a"], None),
        row("server", "mail.example.com", &[], None),
        row("address", "203.0.113.0/28", &["-x"], None),
        row("tcp", "mail.example.com:25", &[], Some(settings.clone())),
    ])
    .unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains(",'-cmd a,") && text.contains(",'-x,"), "{text}");
    for line in text.lines() {
        let record = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes()).records().next().unwrap().unwrap();
        for cell in &record {
            assert!(!cell.starts_with(FORMULA), "{cell}");
        }
    }
    let lines = read(&text, &egress()).unwrap();
    assert_eq!(
        lines.iter().map(|line| line.thing.target()).collect::<Vec<_>>(),
        ["example.com", "mail.example.com", "203.0.113.0/28", "mail.example.com:25"]
    );
    assert_eq!(lines[0].tags, Some(vec!["-cmd".to_owned(), "a".to_owned()]));
    assert_eq!(lines[1].thing, Thing::Server { host: "mail.example.com".to_owned(), ports: Some(vec![25, 465]), role: Some(ServerRole::Relay) });
    assert!(matches!(&lines[3].thing, Thing::Service { settings: Some(back), .. } if *back == settings));
    assert!(lines.iter().all(|line| line.interval_s == Some(3600) && line.paused == Some(true)));
}
