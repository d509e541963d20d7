//! Routes that the OpenAPI document does not know. The document is made by `routes!` alone, so whatever else adds to the router is looked
//! for in the source and must stand here with its reason; the denial table then covers all the others.

use std::{collections::BTreeSet, fs, path::Path};

use axum::body::Body;

use crate::support::server;

/// A file below `server/src`, what it adds to a router, and why that is no operation of the API.
const ALLOWED: &[(&str, &str, &str)] = &[
    ("api/docs.rs", ".route(\"/openapi.json\"", "the document itself: says nothing of a tenant"),
    ("api/docs.rs", ".route(\"/v1/openapi.json\"", "the same beside the resources"),
    ("api/docs.rs", ".route(\"/docs\"", "the document for people"),
    ("api/docs.rs", ".route(\"/v1/docs\"", "the same beside the resources"),
    ("api/mod.rs", ".merge(org)", "made by routes! a few lines above"),
    ("api/mod.rs", ".merge(docs::routes(&document))", "the four routes of docs.rs"),
    ("api/mod.rs", ".nest(\"/api\"", "puts the document's paths where the router has them"),
    ("api/mod.rs", ".fallback(not_found)", "404 as a problem"),
    ("api/mod.rs", ".method_not_allowed_fallback(method_not_allowed)", "405 as a problem"),
    ("app.rs", ".nest(\"/api\"", "what api/mod.rs made"),
    ("app.rs", ".merge(health::routes(metrics).with_state(state.clone()))", "the three routes of health.rs"),
    ("app.rs", ".merge(preview::routes().with_state(state.clone()))", "the route of preview.rs"),
    ("preview.rs", ".route(\"/lookup/{name}/preview.png\"", "a picture of a public lookup, under the limits of the lookup"),
    ("app.rs", ".fallback_service(pages)", "pages, which call the API as the person who asks"),
    ("health.rs", ".route(\"/healthz\"", "for probes: says that the process lives"),
    ("health.rs", ".route(\"/readyz\"", "for probes: says nothing of a tenant"),
    ("health.rs", ".route(\"/metrics\"", "for operators: this machine, or the token"),
];

/// Methods of routers that add what is served. `.routes(` may be given nothing but `routes!`.
const ADDING: &[&str] = &[
    ".route(",
    ".routes(",
    ".route_service(",
    ".nest(",
    ".nest_service(",
    ".merge(",
    ".fallback(",
    ".fallback_service(",
    ".method_not_allowed_fallback(",
];

/// Each call of `ADDING` in a file, without white space, up to the end of its first argument. Tests at the end of a file do not serve.
fn additions(source: &str) -> Vec<String> {
    let code: String = source.split("#[cfg(test)]\nmod ").next().unwrap().lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code: String = code.split_whitespace().collect();
    let starts: BTreeSet<usize> = ADDING.iter().flat_map(|call| code.match_indices(call).map(|(at, _)| at)).collect();
    starts.into_iter().map(|at| call_with_first_argument(&code[at..])).filter(|call| !call.starts_with(".routes(routes!(")).collect()
}

fn call_with_first_argument(code: &str) -> String {
    let mut depth = 0_usize;
    for (at, letter) in code.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' if depth == 1 => return code[..=at].to_owned(),
            ')' => depth -= 1,
            ',' if depth == 1 => return code[..at].to_owned(),
            _ => {}
        }
    }
    code.to_owned()
}

fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn what_is_served_without_being_documented_is_allowed_by_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut found = BTreeSet::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        found.extend(additions(&fs::read_to_string(&file).unwrap()).into_iter().map(|call| (name.clone(), call)));
    }
    let allowed: BTreeSet<(String, String)> = ALLOWED.iter().map(|(file, call, _)| ((*file).to_owned(), (*call).to_owned())).collect();
    assert_eq!(found, allowed);
}

#[test]
fn a_route_is_found_however_it_is_written() {
    let source = "let r = OpenApiRouter::new().routes(routes!(a::b, a::c))\n    .route(\n  \"/x\",\n get(y)).routes(z);\n// .route(\"/no\", get(y))\n#[cfg(test)]\nmod t { r.route(\"/t\", get(y)) }";
    assert_eq!(additions(source), [".route(\"/x\"", ".routes(z)"]);
}

#[tokio::test]
async fn undocumented_routes_can_be_read_by_everybody_and_nothing_more() {
    let server = server().await;
    let mut nobody = server.client();
    for path in ["/api/openapi.json", "/api/v1/openapi.json", "/api/docs", "/api/v1/docs", "/healthz", "/readyz"] {
        assert_eq!(nobody.get(path).await.status, 200, "{path}");
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            assert_eq!(nobody.send(method, path, &[], Body::empty()).await.status, 405, "{method} {path}");
        }
    }
    // Metrics are not collected here, so there is nothing to be read.
    assert_eq!(nobody.get("/metrics").await.status, 404);
}
