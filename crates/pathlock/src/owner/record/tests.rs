//! Any owner, any bytes.

use super::*;
use proptest::prelude::*;

fn any_owner() -> impl Strategy<Value = Owner> {
    let who = (1..=i32::MAX as u32, any::<String>(), proptest::option::of("[0-9a-f-]{0,36}"));
    let when = (any::<Option<u64>>(), any::<Option<u64>>(), 0..u64::from(u32::MAX), 0..1_000_000_000_u32);
    let rest = (any::<Option<u64>>(), any::<Option<u32>>(), any::<u64>(), any::<String>(), any::<bool>());
    (who, when, rest).prop_map(
        |((pid, host, boot), (start, thread, secs, nanos), (namespace, user, serial, command, kernel))| {
            Owner {
                pid,
                identity: Arc::new(Identity { host, boot, namespace, user }),
                start,
                thread: thread.and_then(NonZeroU64::new),
                since: Some(Duration::new(secs, nanos)),
                serial,
                command: command.into(),
                scheme: "link".into(),
                kernel,
                lease: std::num::NonZeroU32::new(nanos),
            }
        },
    )
}

proptest! {
    #[test]
    fn a_record_reads_back_as_it_was_written(owner in any_owner(), passed in any::<u64>()) {
        let text = Record::owned(&owner, Mark { passed });
        prop_assert_eq!(text.len(), SIZE);
        let Record::Owned(read, mark) = Record::parse(&text) else {
            return Err(TestCaseError::fail("an owner was written"));
        };
        prop_assert_eq!(mark.passed, passed);
        // The host and the command are cut to their room; everything else is exact.
        prop_assert!(owner.host().starts_with(read.host()));
        prop_assert!(owner.command().starts_with(read.command()));
        let identity = Arc::new(Identity { host: read.identity.host.clone(), ..(*owner.identity).clone() });
        prop_assert_eq!(&read, &Owner { identity, command: read.command.clone(), ..owner });
    }

    #[test]
    fn a_target_reads_back_and_holds_no_line_end(owner in any_owner()) {
        let text = Record::target(&owner);
        prop_assert!(!text.contains(|c: char| c.is_whitespace() || c == '\0'));
        let read = Record::parse_target(text.as_bytes());
        prop_assert_eq!(read.owner().map(|read| (read.pid, read.start, read.serial)),
            Some((owner.pid, owner.start, owner.serial)));
    }

    #[test]
    fn no_word_of_a_record_but_the_first_is_a_number(owner in any_owner()) {
        let text = String::from_utf8(Record::owned(&owner, Mark::default()).to_vec()).expect("a record is ASCII");
        for word in text.split_whitespace().skip(1) {
            prop_assert!(word.parse::<i128>().is_err(), "{word:?} in {text:?}");
        }
    }

    #[test]
    fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..6000)) {
        let _ = Record::parse(&bytes);
        let _ = Record::parse_target(&bytes);
    }

    #[test]
    fn nearly_right_bytes_give_an_answer(owner in any_owner(), at in 0..SIZE, byte in any::<u8>(), cut in 0..SIZE) {
        let mut text = Record::owned(&owner, Mark::default());
        text[at] = byte;
        let _ = Record::parse(&text);
        let _ = Record::parse(&text[..cut]);
    }
}

#[test]
fn what_is_known_of_this_process_is_written_as_anything_else() {
    let known = Owner::of_this_thread();
    let anew = Owner { identity: Arc::new((*known.identity).clone()), ..known.clone() };
    assert!(known.process_text().is_some() && anew.process_text().is_none());
    assert_eq!(Record::owned(&known, Mark::default()), Record::owned(&anew, Mark::default()));
    assert_eq!(Record::target(&known), Record::target(&anew));
}

#[test]
fn only_a_plain_positive_number_is_a_pid() {
    for text in ["-1", "0", "1_000", "１２", "99999999999999999999", "2147483648", "+5", "0x10", "", "free"]
    {
        assert!(pid(text.as_bytes()).is_none(), "{text:?} is nobody's pid");
    }
    assert_eq!(pid(b"2147483647"), Some(i32::MAX as u32));
}

#[test]
fn other_programs_files_are_told_apart() {
    assert_eq!(Record::parse(b""), Record::Empty);
    assert_eq!(Record::parse(b" \n"), Record::Empty);
    assert_eq!(Record::parse(b"123\n"), Record::Bare(Owner::bare(123)));
    assert_eq!(Record::parse(b"  123  \nhost\n"), Record::Bare(Owner::bare(123)));
    assert_eq!(Record::parse(b"poetry.lock: a file of versions"), Record::Foreign);
    assert_eq!(Record::parse(b"free\n"), Record::Foreign, "a mark is ours only when it says so");
    assert_eq!(Record::parse(&Record::free(Mark { passed: 7 })), Record::Free(Mark { passed: 7 }));
    assert_eq!(Record::parse(&Record::idle("ofd")), Record::Idle("ofd".into()), "no link's mark");
}
