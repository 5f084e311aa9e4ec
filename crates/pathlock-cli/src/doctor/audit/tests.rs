//! Made-up sequences of events.

use super::*;

/// The audit of lines as workers write them.
fn audit(lines: &[&str]) -> Audit {
    let mut audit = Audit::default();
    hear(&mut audit, lines);
    audit
}

fn hear(audit: &mut Audit, lines: &[&str]) {
    for line in lines {
        audit.hear(&Event::parse(line).expect("it is an event"));
    }
}

#[test]
fn turns_that_follow_each_other_are_no_overlap() {
    let audit = audit(&[
        "enter 1 10",
        "wait 2 11",
        "leave 1 12",
        "enter 2 13",
        "leave 2 14",
        "enter 1 15",
        "leave 1 16",
    ]);
    assert_eq!(audit.overlap(), None);
    assert_eq!((audit.turns(), audit.entered()), (3, 2), "turns, and workers that had one");
    assert_eq!(audit.inside(), [0; 0], "all have left");
}

#[test]
fn one_who_enters_before_the_other_has_left_is_caught() {
    let audit = audit(&["enter 1 10", "enter 2 11", "leave 1 12", "leave 2 13", "enter 3 14"]);
    assert_eq!(audit.overlap(), Some((1, 2)));
    assert!(audit.is_settled(), "there is nothing more to find out");
}

#[test]
fn an_overlap_behind_another_entry_is_caught() {
    let audit = audit(&["stay 1 10", "leave 1 12", "stay 2 13", "enter 3 14"]);
    assert_eq!(audit.overlap(), Some((2, 3)));
}

#[test]
fn the_order_counts_and_not_the_clock() {
    // 1 was interrupted between the look at the clock and the write.
    let audit = audit(&["enter 1 10", "leave 1 90", "enter 2 80", "leave 2 95"]);
    assert_eq!(audit.overlap(), None);
}

#[test]
fn a_killed_holder_is_out_from_the_moment_before_the_kill() {
    let mut audit = audit(&["stay 1 10", "wait 2 11", "wait 3 12"]);
    audit.kill(1, 20);
    assert_eq!((audit.inside(), audit.staying()), (&[][..], None), "it is out");
    hear(&mut audit, &["stay 2 25"]);
    assert_eq!(audit.overlap(), None, "2 came after it");
    assert_eq!((audit.last_entry(), audit.staying()), (25, Some(2)));
    hear(&mut audit, &["enter 3 26"]);
    assert_eq!(audit.overlap(), Some((2, 3)), "2 lives");
}

#[test]
fn one_who_held_the_lock_before_the_holder_was_killed_is_caught() {
    let mut audit = audit(&["stay 1 10"]);
    audit.kill(1, 20);
    // In the pipe already when 1 was killed, but not read yet.
    hear(&mut audit, &["enter 2 15"]);
    assert_eq!(audit.overlap(), Some((1, 2)));
}

#[test]
fn a_kill_of_one_who_was_not_inside_proves_nothing() {
    let mut audit = audit(&["enter 1 10", "leave 1 12", "wait 3 13"]);
    audit.kill(1, 30);
    hear(&mut audit, &["enter 2 14"]);
    assert_eq!(audit.overlap(), None);
}

#[test]
fn one_who_died_by_other_hands_proves_nothing() {
    let mut audit = audit(&["enter 1 10"]);
    audit.lose(1);
    hear(&mut audit, &["enter 2 11"]);
    assert_eq!(audit.overlap(), None);
    assert!(audit.failure().is_some(), "but it is told");
}

#[test]
fn a_hand_over_is_from_leave_to_the_stay_of_one_who_waited() {
    let audit = audit(&[
        "stay 1 100",
        "wait 2 110",
        "leave 1 200",
        "stay 2 230", // 30
        "leave 2 300",
        "stay 3 390", // it came by chance
        "wait 1 395",
        "leave 3 400",
        "stay 3 401", // it has overtaken 1
        "leave 3 500",
        "enter 1 570", // a race
        "wait 2 575",
        "leave 1 600",
        "stay 2 650", // 50
        "wait 3 655",
        "leave 2 700",
        "stay 3 740", // 40
    ]);
    assert_eq!(audit.hand_overs, [30, 50, 40]);
    assert_eq!(audit.hand_over(), Some(40), "the median");
    assert_eq!(Audit::default().hand_over(), None, "of none");
}

#[test]
fn the_first_failure_is_the_one_that_is_told() {
    let audit = audit(&["wait 2 5", "fail 1 10 Operation not permitted (os error 1)", "fail 2 11 Gone"]);
    assert_eq!(audit.failure(), Some("Operation not permitted (os error 1)"));
    assert_eq!((audit.overlap(), audit.waiting()), (None, 0));
}
