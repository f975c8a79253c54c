//! `sysforge schema`: the JSON Schemas, from the very types that read and write the documents.

use sysforge_plan::Receipt;
use sysforge_plan::config::Config;
use sysforge_plan::release::ReleaseIndex;

use crate::args::Document;
use crate::failure::Outcome;
use crate::session::Session;

pub(crate) fn run(document: Document, session: &Session) -> Outcome {
    session.terminal.json(&schema(document));
    Ok(())
}

fn schema(document: Document) -> serde_json::Value {
    match document {
        Document::Config => Config::json_schema(),
        Document::Receipt => Receipt::json_schema(),
        Document::Release => ReleaseIndex::json_schema(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_property_is_described() {
        for document in [Document::Config, Document::Receipt, Document::Release] {
            let schema = schema(document);
            assert!(schema["title"].is_string(), "{document:?}");
            let properties = schema["properties"].as_object().unwrap();
            for (name, property) in properties {
                assert!(property["description"].is_string(), "{document:?}: {name}");
            }
        }
    }
}
