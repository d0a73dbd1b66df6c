//! What the compiler of feature sets accepts and refuses.

use crate::data::{flights, shops};
use arrow::datatypes::DataType;
use tidemill_features::Plan;

#[test]
fn the_flights_example_compiles_completely() {
    let plan = Plan::compile(&flights()).unwrap();
    let names: Vec<_> = plan.schema().fields().iter().map(|f| f.name().as_str()).collect();
    assert!(names.is_sorted());
    assert_eq!(names.len(), flights().features.define.len());
    let text = |name: &str| *plan.schema().field_with_name(name).unwrap().data_type() == DataType::Utf8;
    assert!(text("carrier") && text("origin") && text("dest") && !text("distance"));
    let sources: Vec<_> = plan.sources().iter().map(|s| s.as_str()).collect();
    assert_eq!(sources, ["departures", "outcomes", "schedules", "weather"]);
    assert_eq!(plan.digest(), Plan::compile(&flights()).unwrap().digest());
    assert_ne!(plan.digest(), Plan::compile(&shops()).unwrap().digest());
}

#[test]
fn a_cleaning_decision_about_a_source_that_is_read_changes_the_digest() {
    let mut spec = flights();
    let before = Plan::compile(&spec).unwrap().digest().clone();
    let decisions = "[{id: tidy, column: origin, text: [trim], reason: r, by: me}]";
    spec.cleaning.insert("weather".parse().unwrap(), tidemill_spec::read_yaml(decisions).unwrap());
    assert_ne!(Plan::compile(&spec).unwrap().digest(), &before);
    spec.cleaning.clear();
    assert_eq!(Plan::compile(&spec).unwrap().digest(), &before);
}

#[test]
fn a_change_of_a_window_changes_the_digest() {
    let mut spec = shops();
    let before = Plan::compile(&spec).unwrap().digest().clone();
    spec.features.inputs.get_mut("w").unwrap().window = Some(tidemill_spec::Span::hours(4));
    assert_ne!(Plan::compile(&spec).unwrap().digest(), &before);
}

#[test]
fn what_cannot_be_honoured_is_refused_with_its_path() {
    let refused = |change: &dyn Fn(&mut tidemill_spec::FeatureSpec), path: &str| {
        let mut spec = shops();
        change(&mut spec.features);
        let error = Plan::compile(&spec).err().unwrap().to_string();
        assert!(error.starts_with(path), "{error}");
    };
    let value = |text: &'static str| {
        move |f: &mut tidemill_spec::FeatureSpec| {
            f.inputs.get_mut("w").unwrap().values.insert("n".into(), text.into());
        }
    };
    refused(&value("median(value)"), "features.inputs.w.values.n");
    refused(&value("sum(label)"), "features.inputs.w.values.n");
    refused(&value("mean(at)"), "features.inputs.w.values.n");
    refused(&value("mean(price)"), "features.inputs.w.values.n");
    refused(&|f| f.inputs.get_mut("w").unwrap().by = vec!["label".into()], "features.inputs.w.by");
    refused(&|f| f.inputs.get_mut("w").unwrap().on = Some("kind".into()), "features.inputs.w.on");
    refused(&|f| f.inputs.get_mut("w").unwrap().filter = Some("value".into()), "features.inputs.w.where");
    refused(&|f| f.inputs.get_mut("w").unwrap().lag = 1, "features.inputs.w");
    refused(&|f| f.inputs.get_mut("around").unwrap().anchor = Some("kind".into()), "features.inputs.around.anchor");
    refused(&|f| f.inputs.get_mut("l0").unwrap().window = Some(tidemill_spec::Span::hours(1)), "features.inputs.l0");
    refused(&|f| f.as_of = "id".into(), "features.as_of");
    refused(&|f| f.entity.key = "nothing".into(), "features.entity.key");
    refused(
        &|f| drop(f.define.insert("x".into(), tidemill_spec::Definition::Expr("kind".into()))),
        "features.define.x",
    );
    refused(&|f| drop(f.define.insert("x".into(), tidemill_spec::Definition::Expr("due".into()))), "features.define.x");
    refused(
        &|f| drop(f.define.insert("x".into(), tidemill_spec::Definition::Expr("w.nn".into()))),
        "features.define.x",
    );
}
