//! Received fields in the forms of the usual servers, as tables.

use waypost_types::headers::Hop;

use super::received::parse;

/// helo, reverse, address, by, with, id, for, TLS version, cipher
type Expected<'a> = [&'a str; 9];

fn seen(hop: &Hop) -> [String; 9] {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let address = hop.address.map(|address| address.to_string()).unwrap_or_default();
    [
        text(&hop.helo),
        text(&hop.reverse),
        address,
        text(&hop.by),
        text(&hop.with),
        text(&hop.id),
        text(&hop.recipient),
        text(&hop.tls_version),
        text(&hop.tls_cipher),
    ]
}

#[test]
#[allow(clippy::too_many_lines)] // a table
fn the_forms_of_the_usual_servers() {
    let table: [(&str, Expected<'_>); 20] = [
        // Postfix
        (
            "from mail.example.org (rdns.example.org [192.0.2.7]) (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature RSA-PSS (2048 bits)) (No client certificate requested) by mx.example.com (Postfix) with ESMTPS id 4TQx2 for <ann@example.com>; Wed, 31 Jan 2024 10:20:30 +0100 (CET)",
            [
                "mail.example.org",
                "rdns.example.org",
                "192.0.2.7",
                "mx.example.com",
                "ESMTPS",
                "4TQx2",
                "ann@example.com",
                "TLSv1.3",
                "TLS_AES_256_GCM_SHA384",
            ],
        ),
        (
            "from by (unknown [IPv6:2001:db8::7]) by mx.example.com (Postfix) with SMTP id A1; Wed, 31 Jan 2024 10:20:30 +0100",
            ["by", "", "2001:db8::7", "mx.example.com", "SMTP", "A1", "", "", ""],
        ),
        (
            "by mx.example.com (Postfix, from userid 1000) id 77; Wed, 31 Jan 2024 10:20:30 +0100",
            ["", "", "", "mx.example.com", "", "77", "", "", ""],
        ),
        // Exim
        (
            "from [192.0.2.8] (helo=pc.example.org) by mx.example.com with esmtpsa (TLS1.3) tls TLS_AES_128_GCM_SHA256 (Exim 4.96) (envelope-from <bob@example.org>) id 1rVabc-0001-2b for ann@example.com; Wed, 31 Jan 2024 10:20:30 +0000",
            [
                "pc.example.org",
                "",
                "192.0.2.8",
                "mx.example.com",
                "esmtpsa",
                "1rVabc-0001-2b",
                "ann@example.com",
                "TLSv1.3",
                "TLS_AES_128_GCM_SHA256",
            ],
        ),
        (
            "from rdns.example.org ([192.0.2.8]:4711 helo=[10.0.0.1]) by mx.example.com with esmtps (TLS1.2:ECDHE_RSA_AES_256_GCM_SHA384:256) (Exim 4.92) id 1a; Wed, 31 Jan 2024 10:20:30 +0000",
            ["10.0.0.1", "rdns.example.org", "192.0.2.8", "mx.example.com", "esmtps", "1a", "", "TLSv1.2", "ECDHE_RSA_AES_256_GCM_SHA384"],
        ),
        (
            "from ann by mx.example.com with local (Exim 4.96) id 1b; Wed, 31 Jan 2024 10:20:30 +0000",
            ["ann", "", "", "mx.example.com", "local", "1b", "", "", ""],
        ),
        // Sendmail
        (
            "from mail.example.org (rdns.example.org [192.0.2.9] (may be forged)) (authenticated bits=0) by mx.example.com (8.17.1/8.17.1) with ESMTPSA id 40V9 (version=TLSv1.2 cipher=ECDHE-RSA-AES256-GCM-SHA384 bits=256 verify=NOT) for <ann@example.com>; Wed, 31 Jan 2024 10:20:30 GMT",
            [
                "mail.example.org",
                "rdns.example.org",
                "192.0.2.9",
                "mx.example.com",
                "ESMTPSA",
                "40V9",
                "ann@example.com",
                "TLSv1.2",
                "ECDHE-RSA-AES256-GCM-SHA384",
            ],
        ),
        (
            "from ident@host.example.org (ident@[192.0.2.9]) by mx.example.com; Wed, 31 Jan 2024 10:20:30 GMT",
            ["ident@host.example.org", "", "192.0.2.9", "mx.example.com", "", "", "", "", ""],
        ),
        // Exchange and Microsoft 365
        (
            "from AM0PR01.eurprd01.prod.exchangelabs.com (2603:10a6:208::1) by DB8PR01.eurprd01.prod.exchangelabs.com (2603:10a6:10::2) with Microsoft SMTP Server (version=TLS1_2, cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.20.7228.32; Wed, 31 Jan 2024 10:20:30 +0000",
            [
                "am0pr01.eurprd01.prod.exchangelabs.com",
                "",
                "2603:10a6:208::1",
                "db8pr01.eurprd01.prod.exchangelabs.com",
                "Microsoft SMTP Server",
                "15.20.7228.32",
                "",
                "TLSv1.2",
                "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            ],
        ),
        (
            "from ex.corp.example (10.1.2.3) by ex2.corp.example (10.1.2.4) with Microsoft SMTP Server id 15.1.2507.34 via Frontend Transport; Wed, 31 Jan 2024 10:20:30 +0000",
            ["ex.corp.example", "", "10.1.2.3", "ex2.corp.example", "Microsoft SMTP Server", "15.1.2507.34", "", "", ""],
        ),
        (
            "from AM0.example ([fe80::1]) by AM0.example ([fe80::1%4]) with mapi id 15.20.1; Wed, 31 Jan 2024 10:20:30 +0000",
            ["am0.example", "", "fe80::1", "am0.example", "mapi", "15.20.1", "", "", ""],
        ),
        // Gmail
        (
            "from mail.example.org (mail.example.org. [192.0.2.10]) by mx.google.com with ESMTPS id a1-2.3.2024 for <ann@example.com> (version=TLS1_3 cipher=TLS_AES_128_GCM_SHA256 bits=128/128); Wed, 31 Jan 2024 02:20:30 -0800 (PST)",
            [
                "mail.example.org",
                "mail.example.org",
                "192.0.2.10",
                "mx.google.com",
                "ESMTPS",
                "a1-2.3.2024",
                "ann@example.com",
                "TLSv1.3",
                "TLS_AES_128_GCM_SHA256",
            ],
        ),
        (
            "by 2002:a05:6402:1d85:b0:55f with SMTP id dk5csp1; Wed, 31 Jan 2024 02:20:30 -0800 (PST)",
            ["", "", "", "2002:a05:6402:1d85:b0:55f", "SMTP", "dk5csp1", "", "", ""],
        ),
        // qmail
        (
            "from unknown (HELO mail.example.org) (192.0.2.11) by 0 with SMTP; 31 Jan 2024 10:20:30 -0000",
            ["mail.example.org", "", "192.0.2.11", "0", "SMTP", "", "", "", ""],
        ),
        (
            "from rdns.example.org (HELO mail.example.org) (ident@192.0.2.11) by mx.example.com with ESMTPS; 31 Jan 2024 10:20:30 -0000",
            ["mail.example.org", "rdns.example.org", "192.0.2.11", "mx.example.com", "ESMTPS", "", "", "", ""],
        ),
        ("(qmail 1234 invoked by uid 89); 31 Jan 2024 10:20:30 -0000", ["", "", "", "", "", "", "", "", ""]),
        // Dovecot, Yahoo, SendGrid
        (
            "from mx.example.com ([10.0.0.5]) by store.example.com with LMTP id QkF7 (envelope-from <bob@example.org>) for <ann@example.com>; Wed, 31 Jan 2024 10:20:30 +0000",
            ["mx.example.com", "", "10.0.0.5", "store.example.com", "LMTP", "QkF7", "ann@example.com", "", ""],
        ),
        (
            "from 192.0.2.12 (EHLO mail.example.org) by atlas.mail.example with SMTPs (version=TLS1_2 cipher=X); Wed, 31 Jan 2024 10:20:30 +0000",
            ["mail.example.org", "", "192.0.2.12", "atlas.mail.example", "SMTPs", "", "", "TLSv1.2", "X"],
        ),
        (
            "by filterdrecv-1 with SMTP id 9-65BA1 2024-01-31 10:20:30.12 +0000 UTC m=+1; 2024-01-31 10:20:30.12 +0000 UTC m=+1",
            ["", "", "", "filterdrecv-1", "SMTP", "9-65BA1", "", "", ""],
        ),
        (
            "by filter0001p1.sendgrid.example with SMTP id filter0001p1.12.34 2024-01-31 10:20:30.123456789 +0000 UTC",
            ["", "", "", "filter0001p1.sendgrid.example", "SMTP", "filter0001p1.12.34", "", "", ""],
        ),
    ];
    for (raw, expected) in table {
        let hop = parse(raw);
        assert_eq!(seen(&hop), expected.map(str::to_owned), "{raw}");
        assert_eq!(hop.time.map(|time| time.timestamp() % 60), Some(30), "{raw}");
        assert_eq!(hop.remarks, Vec::<String>::new(), "{raw}");
    }
}

#[test]
fn the_link_and_the_network_are_told() {
    for (raw, encrypted, private) in [
        ("from a ([10.0.0.1]) by b with ESMTP id 1; 31 Jan 2024 10:20:30 +0000", Some(false), true),
        ("from a ([192.168.3.1]) by b with ESMTPS id 1; 31 Jan 2024 10:20:30 +0000", Some(true), true),
        ("from a ([8.8.8.8]) by b with Microsoft SMTP Server id 1; 31 Jan 2024 10:20:30 +0000", None, false),
        ("from a (a [8.8.8.8]) (using TLSv1 with cipher X (1/1 bits)) by b with SMTP id 1; 31 Jan 2024 10:20:30 +0000", Some(true), false),
    ] {
        let hop = parse(raw);
        assert_eq!((hop.encrypted, hop.private), (encrypted, private), "{raw}");
    }
}

#[test]
fn malformed_fields_are_kept_with_a_remark() {
    for (raw, remark) in [
        ("", "no time"),
        ("from a by b with SMTP id 1", "no time"),
        ("from a by b; the day after", "can not be read"),
        ("from a; 31 Jan 2024 10:20:30 +0000", "which host wrote it"),
        ("complete nonsense; 31 Jan 2024 10:20:30 +0000", "neither"),
        ("from by by by with; ; ;", "can not be read"),
    ] {
        let hop = parse(raw);
        assert!(hop.raw == raw && hop.remarks.iter().any(|said| said.contains(remark)), "{raw}: {:?}", hop.remarks);
    }
}
