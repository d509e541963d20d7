//! Chains as servers send them: whole, cut short, of nobody we know, and about to end.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use super::*;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
}

fn params(name: &str, until: i32) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["mx.lab.test".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
    params
}

fn authority(name: &str, until: i32, by: Option<&Authority>) -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = params(name, until);
    params.subject_alt_names.clear();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = match by {
        Some(by) => params.signed_by(&key, &by.issuer),
        None => params.self_signed(&key),
    };
    let der = certificate.unwrap().der().clone();
    Authority { issuer: Issuer::new(params, key), der }
}

fn leaf(until: i32, by: &Authority) -> CertificateDer<'static> {
    params("mx", until).signed_by(&KeyPair::generate().unwrap(), &by.issuer).unwrap().der().clone()
}

fn judged(root: Option<&Authority>, chain: &[&CertificateDer<'static>]) -> Judged {
    let mut roots = RootCertStore::empty();
    if let Some(root) = root {
        roots.add(root.der.clone()).unwrap();
    }
    let rest: Vec<CertificateDer<'_>> = chain[1..].iter().map(|der| (*der).clone()).collect();
    let name = ServerName::try_from("mx.lab.test").unwrap();
    Tls::new(Arc::new(roots)).unwrap().judge_leaf(chain[0], &rest, &name, "2026-06-01T00:00:00Z".parse().unwrap())
}

#[test]
fn what_is_wrong_with_a_chain_is_told_and_how_to_mend_it() {
    let root = authority("root", 2040, None);
    let (inter, old) = (authority("inter", 2035, Some(&root)), authority("inter", 2024, Some(&root)));
    let (good, under_old) = (leaf(2030, &inter), leaf(2030, &old));
    let whole = judged(Some(&root), &[&good, &inter.der]);
    assert!(whole.report.trusted && whole.report.name_matches && whole.untrusted.is_none() && whole.chain_ends.is_none(), "{whole:?}");
    let sent: Vec<(&str, &str)> = whole.report.chain.iter().map(|sent| (sent.subject.as_str(), sent.key.as_str())).collect();
    assert!(sent.len() == 1 && sent[0].0.contains("CN=inter") && sent[0].1 == "EC 256", "{sent:?}");
    for (root, chain, problem, fix) in [
        (Some(&root), vec![&good], "sends no intermediate", Some("CN=inter")),
        (Some(&root), vec![&good, &root.der], "is missing", Some("CN=inter")),
        (None, vec![&good, &inter.der, &root.der], "ends at", None),
        (None, vec![&good, &inter.der], "is missing", Some("CN=root")),
        (Some(&root), vec![&under_old, &old.der], "of its chain has expired", Some("present intermediate")),
        (None, vec![&root.der], "self-signed", Some("TLSA")),
    ] {
        let found = judged(root, &chain);
        let (said, mend) = found.untrusted.clone().unwrap();
        assert!(!found.report.trusted && said.contains(problem), "{problem}: {said}");
        assert_eq!(found.report.trust_problem.as_deref(), Some(said.as_str()));
        match fix {
            Some(fix) => assert!(mend.as_ref().is_some_and(|mend| mend.contains(fix)), "{problem}: {mend:?}"),
            None => assert_eq!(mend, None, "{problem}"),
        }
    }
}

#[test]
fn an_issuer_that_ends_before_the_leaf_counts_only_where_it_is_needed() {
    let root = authority("root", 2040, None);
    let (short, long) = (authority("inter", 2027, Some(&root)), authority("other", 2035, Some(&root)));
    let needed = judged(Some(&root), &[&leaf(2030, &short), &short.der]);
    let (end, whose) = needed.chain_ends.clone().unwrap();
    assert!(needed.report.trusted && end.to_string().starts_with("2027-01-01") && whose.contains("inter"), "{needed:?}");
    let beside = judged(Some(&root), &[&leaf(2030, &long), &long.der, &short.der]);
    assert_eq!(beside.chain_ends, None, "it is sent and not needed");
    let later = judged(Some(&root), &[&leaf(2026, &short), &short.der]);
    assert_eq!(later.chain_ends, None, "the leaf ends first");
}
