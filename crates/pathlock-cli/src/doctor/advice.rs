//! What the findings come to: which scheme to use there.

use pathlock::{DefaultScheme, Scheme};

use super::place::{Place, Reach};
use super::trial::{Excludes, Finding};
use crate::exit;

/// One line for people, and the same for programs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Advice {
    /// The line.
    pub(super) text: String,
    /// The scheme to use; `None` if there is none.
    pub(super) scheme: Option<&'static str>,
    /// 0 if the default scheme excludes there, and 1 if it does not.
    pub(super) code: i32,
}

/// Which scheme to use: the default if it is as good as any, and otherwise the first that excludes and
/// whose lock came free after a kill, or the first that excludes.
pub(super) fn advise(place: &Place, findings: &[Finding]) -> Advice {
    let default = DefaultScheme::default();
    let default = default.name();
    let own = findings.iter().find(|finding| finding.scheme == default);
    let best = own
        .filter(|own| own.excludes() && own.recovers())
        .or_else(|| findings.iter().find(|finding| finding.excludes() && finding.recovers()))
        .or_else(|| own.filter(|own| own.excludes()))
        .or_else(|| findings.iter().find(|finding| finding.excludes()));
    let is_sound = own.is_some_and(Finding::excludes);
    let code = if is_sound { exit::SUCCESS } else { exit::HELD };
    let Some(best) = best else {
        let text = "No scheme was seen to exclude here: put the lock files in another directory (--at).";
        return Advice { text: text.to_owned(), scheme: None, code };
    };

    let (use_it, left_behind) =
        (format!("use --scheme {}", best.scheme), "the lock of a killed holder stays until `pathlock break`");
    let mut text = if !is_sound {
        let fault = own.map_or("was not tried", |own| fault(&own.excludes));
        format!("The default scheme, {default}, {fault} here: {use_it}")
    } else if best.scheme != default {
        format!("The default scheme, {default}, excludes here, but {left_behind}; if that matters, {use_it}")
    } else {
        format!("The default scheme, {default}, excludes here: use it")
    };
    if !best.recovers() {
        text += &format!(". Mind that {left_behind}");
    }
    if place.reach != Reach::Local {
        text += ". Only processes of this host were tried";
    }
    Advice { text: text + ".", scheme: Some(best.scheme), code }
}

fn fault(excludes: &Excludes) -> &'static str {
    match excludes {
        Excludes::Yes => "excludes",
        Excludes::No(..) => "does not exclude",
        Excludes::Unsupported(_) => "is not supported",
        Excludes::Failed(_) => "fails",
        Excludes::Unknown => "could not be judged",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::trial::Kill;
    use super::*;

    fn place(reach: Reach) -> Place {
        Place { directory: "/srv".into(), filesystem: "ext4".to_owned(), reach }
    }

    fn finding(scheme: &'static str, excludes: Excludes, recovers: bool) -> Finding {
        let kill = if recovers { Kill::Recovered(Duration::ZERO) } else { Kill::Unknown };
        Finding { scheme, excludes, kill, wake: None, turns: 100 }
    }

    fn advice(reach: Reach, findings: &[Finding]) -> (Option<&'static str>, i32, String) {
        let advice = advise(&place(reach), findings);
        (advice.scheme, advice.code, advice.text)
    }

    #[test]
    fn a_sound_default_is_the_one_to_use() {
        let findings = [finding("link", Excludes::Yes, true), finding("mkdir", Excludes::Yes, true)];
        let (scheme, code, text) = advice(Reach::Local, &findings);
        assert_eq!((scheme, code), (Some("link"), 0), "{text}");
        assert!(!text.contains("this host"), "nobody else can write there: {text}");
        let (.., text) = advice(Reach::Network, &findings);
        assert!(text.contains("Only processes of this host"), "{text}");
    }

    #[test]
    fn a_default_that_does_not_exclude_is_replaced_and_exits_1() {
        for fault in [
            Excludes::No(1, 2),
            Excludes::Unsupported(String::new()),
            Excludes::Failed(String::new()),
            Excludes::Unknown,
        ] {
            let shown = format!("{fault:?}");
            let findings = [
                finding("link", fault, true),
                finding("mkdir", Excludes::Yes, false),
                finding("flock", Excludes::Yes, true),
            ];
            let (scheme, code, text) = advice(Reach::Local, &findings);
            assert_eq!((scheme, code), (Some("flock"), 1), "{shown}: {text}");
            assert!(text.contains("--scheme flock"), "{shown}: {text}");
        }
    }

    #[test]
    fn a_default_that_is_left_behind_is_sound_but_another_may_be_better() {
        let findings = [finding("link", Excludes::Yes, false), finding("mkdir", Excludes::Yes, false)];
        let (scheme, code, text) = advice(Reach::Network, &findings);
        assert_eq!((scheme, code), (Some("link"), 0), "none is better: {text}");
        assert!(text.contains("pathlock break"), "{text}");
        let findings = [finding("link", Excludes::Yes, false), finding("ofd", Excludes::Yes, true)];
        let (scheme, code, text) = advice(Reach::Network, &findings);
        assert_eq!((scheme, code), (Some("ofd"), 0), "{text}");
    }

    #[test]
    fn where_none_excludes_none_is_named() {
        let findings = [finding("link", Excludes::No(1, 2), true), finding("ofd", Excludes::Unknown, false)];
        let (scheme, code, text) = advice(Reach::Unknown, &findings);
        assert_eq!((scheme, code), (None, 1), "{text}");
    }
}
