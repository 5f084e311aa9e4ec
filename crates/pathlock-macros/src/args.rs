//! What stands in the parentheses of `#[locked(…)]`: the path, then `timeout` and `scheme`, each at most once.
//!
//! Every error points at the words it is about and says what would be accepted there.

use crate::duration;
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use std::time::Duration;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, ExprLit, Ident, Lit, LitStr, Result, Token};

/// The schemes by name, each with the handle that `pathlock` has for it.
const SCHEMES: [(&str, &str); 6] = [
    ("link", "LinkLockFile"),
    ("symlink", "SymlinkLockFile"),
    ("mkdir", "MkdirLockFile"),
    ("pid", "PidLockFile"),
    ("flock", "FlockLockFile"),
    ("ofd", "OfdLockFile"),
];

/// The arguments of `#[locked]`.
pub(crate) struct Args {
    path: Expr,
    /// Zero: do not wait. `None`: wait for ever.
    timeout: Option<Duration>,
    /// The name of a handle, which the default scheme has too.
    handle: Ident,
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let path = parse_path(input)?;
        let mut timeout = None;
        let mut handle = None;
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let key: Ident = input.parse()?;
            match key.to_string().as_str() {
                "timeout" => set(&mut timeout, &key, parse_timeout(input, &key)?)?,
                "scheme" => set(&mut handle, &key, parse_scheme(input, &key)?)?,
                _ => {
                    let accepted = "after the path, `timeout = \"5s\"` and `scheme = \"mkdir\"` are accepted";
                    let message = format!("unknown argument `{key}`: {accepted}");
                    return Err(Error::new(key.span(), message));
                }
            }
        }
        let handle = handle.unwrap_or_else(|| Ident::new("LockFile", Span::call_site()));
        Ok(Self { path, timeout, handle })
    }
}

/// The expression that makes the handle.
impl ToTokens for Args {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { path, timeout, handle } = self;
        tokens.extend(quote!(::pathlock::#handle::new(#path)));
        if let Some(timeout) = timeout {
            let (secs, nanos) = (timeout.as_secs(), timeout.subsec_nanos());
            tokens.extend(match timeout {
                &Duration::ZERO => quote!(.timeout(::pathlock::Timeout::NoWait)),
                _ => quote!(.timeout(::core::time::Duration::new(#secs, #nanos))),
            });
        }
    }
}

fn parse_path(input: ParseStream<'_>) -> Result<Expr> {
    let key_comes_first = input.peek(syn::Ident) && input.peek2(Token![=]) && !input.peek2(Token![==]);
    if input.is_empty() || key_comes_first {
        let message =
            "expected the path to lock first, as in `#[locked(\"/run/lock/job\", timeout = \"5s\")]`";
        return Err(Error::new(input.span(), message));
    }
    let path: Expr = input.parse()?;
    match &path {
        Expr::Lit(ExprLit { lit, .. }) if !matches!(lit, Lit::Str(_)) => Err(Error::new(
            lit.span(),
            "expected a path: a string, or an expression whose type is `AsRef<Path>`",
        )),
        _ => Ok(path),
    }
}

fn parse_timeout(input: ParseStream<'_>, key: &Ident) -> Result<Duration> {
    let text = parse_string(input, key, "5s")?;
    duration::parse(&text.value()).map_err(|message| Error::new(text.span(), message))
}

fn parse_scheme(input: ParseStream<'_>, key: &Ident) -> Result<Ident> {
    let text = parse_string(input, key, "mkdir")?;
    let name = text.value();
    match SCHEMES.iter().find(|(scheme, _)| *scheme == name) {
        // The literal's span, so that a scheme this platform lacks is reported there.
        Some((_, handle)) => Ok(Ident::new(handle, text.span())),
        None => {
            let names = SCHEMES.map(|(scheme, _)| format!("\"{scheme}\"")).join(", ");
            Err(Error::new(text.span(), format!("unknown scheme {name:?}: expected one of {names}")))
        }
    }
}

/// The `= "…"` after `key`.
fn parse_string(input: ParseStream<'_>, key: &Ident, example: &str) -> Result<LitStr> {
    let expected = format!("expected a string: `{key} = \"{example}\"`");
    if !input.peek(Token![=]) {
        return Err(Error::new(key.span(), expected));
    }
    input.parse::<Token![=]>()?;
    if !input.peek(LitStr) {
        return Err(input.error(expected));
    }
    input.parse()
}

fn set<T>(slot: &mut Option<T>, key: &Ident, value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new(key.span(), format!("`{key}` is given twice"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(args: &str) -> String {
        let args: Args = syn::parse_str(args).unwrap_or_else(|error| panic!("{args}: {error}"));
        args.into_token_stream().to_string()
    }

    fn refusal(args: &str) -> String {
        syn::parse_str::<Args>(args).err().expect(args).to_string()
    }

    fn same(written: &str, expected: TokenStream) {
        assert_eq!(handle(written), expected.to_string(), "{written}");
    }

    #[test]
    fn a_path_alone_waits_for_ever_with_the_default_scheme() {
        same(r#""job""#, quote!(::pathlock::LockFile::new("job")));
        same(r#""job","#, quote!(::pathlock::LockFile::new("job")));
    }

    #[test]
    fn a_path_is_any_expression() {
        same("LOCK_PATH", quote!(::pathlock::LockFile::new(LOCK_PATH)));
        same("&self.path", quote!(::pathlock::LockFile::new(&self.path)));
        same(r#"dir.join("a")"#, quote!(::pathlock::LockFile::new(dir.join("a"))));
    }

    #[test]
    fn a_timeout_is_a_duration_and_zero_is_no_wait() {
        same(
            r#""job", timeout = "1.5s""#,
            quote!(::pathlock::LockFile::new("job").timeout(::core::time::Duration::new(1u64, 500000000u32))),
        );
        same(
            r#""job", timeout = "0""#,
            quote!(::pathlock::LockFile::new("job").timeout(::pathlock::Timeout::NoWait)),
        );
    }

    #[test]
    fn every_scheme_has_its_handle() {
        for (scheme, handle) in SCHEMES {
            let handle = Ident::new(handle, Span::call_site());
            same(&format!("\"job\", scheme = \"{scheme}\""), quote!(::pathlock::#handle::new("job")));
        }
    }

    #[test]
    fn the_order_of_the_options_does_not_matter() {
        assert_eq!(
            handle(r#""job", scheme = "flock", timeout = "2m""#),
            handle(r#""job", timeout = "2m", scheme = "flock","#),
            "the same handle either way"
        );
    }

    #[test]
    fn a_missing_path_is_asked_for() {
        for args in ["", r#"timeout = "5s""#, r#"scheme = "mkdir", timeout = "5s""#] {
            assert!(refusal(args).contains("expected the path to lock first"), "{args}: {}", refusal(args));
        }
    }

    #[test]
    fn a_literal_that_is_no_string_is_no_path() {
        for args in ["5", "true", "'a'", r#"b"job""#] {
            assert!(refusal(args).contains("expected a path"), "{args}: {}", refusal(args));
        }
    }

    #[test]
    fn what_is_wrong_with_an_option_is_said() {
        for (args, said) in [
            (r#""job", wait = "5s""#, "unknown argument `wait`"),
            (r#""job", timeout = "5s", timeout = "6s""#, "`timeout` is given twice"),
            (r#""job", scheme = "pid", scheme = "pid""#, "`scheme` is given twice"),
            (r#""job", timeout = 5"#, "`timeout = \"5s\"`"),
            (r#""job", timeout"#, "`timeout = \"5s\"`"),
            (r#""job", scheme = MKDIR"#, "`scheme = \"mkdir\"`"),
            (r#""job", timeout = "-1""#, "use \"0\""),
            (r#""job", scheme = "dir""#, r#""link", "symlink", "mkdir", "pid", "flock", "ofd""#),
        ] {
            assert!(refusal(args).contains(said), "{args}: {}", refusal(args));
        }
    }
}
