//! Of a cursor nobody makes another one.

use docket_fuzz::{near, run};

use super::{Cursor, Query};
use crate::AccountId;

#[test]
fn cursors() {
    let [ann, ben] = ["ann", "ben"].map(|account| AccountId::parse(account).unwrap());
    let place = r#"{"key":"milk \u00e9","created_seq":77}"#;
    let cursor = Cursor {
        place: serde_json::from_str(place).unwrap(),
        segment: 15,
    };
    let query = Query::default();
    let right = query.text_of(&ann, &cursor);
    run("cursors of tasks", near(&right), |text| {
        let resumed = query.resume(&ann, &text);
        assert_eq!(
            resumed.as_ref(),
            (text == right).then_some(&cursor),
            "{text}"
        );
        assert_eq!(query.resume(&ben, &text), None, "{text}");
    });
}
