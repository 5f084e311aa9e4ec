//! What the compiler says to a `#[locked]` that cannot be: each file in `ui` with the message it gets.

#[test]
fn every_mistake_is_told_where_it_stands() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
