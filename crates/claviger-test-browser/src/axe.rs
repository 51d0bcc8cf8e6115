//! The rules of accessibility, as axe knows them.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::person::Person;

/// Where xtask puts it.
const AXE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/axe/axe_playwright_python/axe.min.js");

/// All rules up to WCAG 2.2 AA, and those that are good practice.
const RUN: &str = "const done = arguments[0]; \
    axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa', 'best-practice'], \
                        resultTypes: ['violations'] }) \
       .then(found => done(found.violations), error => done(String(error)))";

impl Person {
    /// Fails where the page breaks a rule of accessibility, and names the rule and the element. Needs scripts.
    pub async fn assert_accessible(&self) {
        assert!(self.manner.scripts, "axe cannot look at pages that run no scripts");
        let axe = std::fs::read_to_string(Path::new(AXE))
            .unwrap_or_else(|error| panic!("{AXE}: {error}; run `cargo xtask test`, which installs it"));
        self.driver.execute(format!("{axe}; return true"), Vec::new()).await.expect("axe comes into the page");
        let found = self.driver.execute_async(RUN, Vec::new()).await.expect("axe looks at the page");
        let Value::Array(violations) = found.json() else { panic!("axe failed: {}", found.json()) };
        let told = violations.iter().map(tell).collect::<String>();
        assert!(told.is_empty(), "{}:\n{told}", self.address().await);
    }
}

/// A broken rule, and where it is broken.
fn tell(violation: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut told =
        format!("{}: {} ({})\n", text(&violation["id"]), text(&violation["help"]), text(&violation["helpUrl"]));
    for node in violation["nodes"].as_array().into_iter().flatten() {
        let html: String = text(&node["html"]).chars().take(200).collect();
        let _infallible = writeln!(told, "  {} {html}\n    {}", node["target"], text(&node["failureSummary"]));
    }
    told
}
