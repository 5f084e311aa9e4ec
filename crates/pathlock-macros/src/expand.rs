//! The function that `#[locked]` writes.
//!
//! The body becomes a closure, so that its `return` and `?` leave the body and not the function, and the lock
//! is released, with the outcome looked at, on the way. The closure is `move` and called as `FnOnce`: it owns
//! the parameters it uses, so it may return what was borrowed through them, and they are dropped while the
//! lock is still held. A panic unwinds through the guard, which releases too.
//!
//! That of an `async fn` becomes an `async move` block in its place, for the same reasons; when the future is
//! dropped on the way, the block is dropped first and then the guard.
//!
//! The locals written here and those of the body do not see each other; the one item, `__pathlock_hold`, is
//! named so that no body means it by accident.

use crate::args::Args;
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Error, Ident, ItemFn, Result, ReturnType, Signature, TraitItemFn, Type, parse_quote, parse2};

/// The locked function; or the item as it was with a compile error after it, so that the mistake is reported
/// once and not again at every call.
pub(crate) fn locked(args: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = parse2(args).and_then(|args| expand(&args, parse_function(item.clone())?));
    expanded.map(ItemFn::into_token_stream).unwrap_or_else(|error| {
        let error = error.into_compile_error();
        quote!(#item #error)
    })
}

fn expand(handle: &Args, mut function: ItemFn) -> Result<ItemFn> {
    check(&function.sig)?;
    let returned: Type = match &function.sig.output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, returned) => (**returned).clone(),
    };
    let returns_result = is_result(&returned);
    let mut of_body = returned.clone();
    Inferred.visit_type_mut(&mut of_body);

    // What returns an error stands at the return type, so that an error type that cannot hold a lock's error is
    // reported there.
    let at_output = returned.span().resolved_at(Span::mixed_site());
    let [hold, acquired, guard, value, released] =
        ["__pathlock_hold", "acquired", "guard", "value", "released"].map(|name| Ident::new(name, at_output));
    let body = &function.block;
    let guard_or_return = quote_spanned!(at_output=> let #guard = #acquired?;);
    let value_or_return = returns_result.then(|| quote_spanned!(at_output=> let #value = #value?;));
    let released_or_return = quote_spanned!(at_output=> #released?;);
    let (holder, acquiring, holding) = if function.sig.asyncness.is_some() {
        (
            quote!(async fn #hold<R>(body: impl ::core::future::Future<Output = R>) -> R {
                body.await
            }),
            quote!(acquire_async().await),
            quote!(#hold::<#of_body>(async move #body).await),
        )
    } else {
        (
            quote!(fn #hold<R>(body: impl ::core::ops::FnOnce() -> R) -> R {
                body()
            }),
            quote!(acquire()),
            quote!(#hold(move || -> #of_body #body)),
        )
    };
    function.block = parse_quote!({
        #holder
        let #acquired = #handle.#acquiring.map_err(::pathlock::Error::from);
        #guard_or_return
        let #value = #holding;
        let #released = #guard.release().map_err(::pathlock::Error::from);
        #value_or_return
        #released_or_return
        ::core::result::Result::Ok(#value)
    });
    if !returns_result {
        let result = quote_spanned!(returned.span()=> ::core::result::Result<#returned, ::pathlock::Error>);
        function.sig.output = parse_quote!(-> #result);
    }
    Ok(function)
}

fn parse_function(item: TokenStream) -> Result<ItemFn> {
    if let Ok(TraitItemFn { sig, default: None, .. }) = parse2(item.clone()) {
        let message = "`#[locked]` needs a body to run: put it on the implementations of this method";
        return Err(Error::new_spanned(sig, message));
    }
    parse2(item).map_err(|error| Error::new(error.span(), format!("`#[locked]` goes on a function: {error}")))
}

/// Refuses the kinds of function whose callers could not have a lock taken for them.
fn check(sig: &Signature) -> Result<()> {
    if let Some(constness) = &sig.constness {
        return Err(Error::new_spanned(
            constness,
            "`#[locked]` cannot lock a `const fn`: a lock is taken at run time",
        ));
    }
    if let Some(abi) = &sig.abi {
        let message =
            "`#[locked]` cannot lock an `extern fn`: its callers could not be told that locking failed";
        return Err(Error::new_spanned(abi, message));
    }
    match &sig.output {
        ReturnType::Type(_, returned) if matches!(**returned, Type::Never(_)) => Err(Error::new_spanned(
            returned,
            "`#[locked]` cannot lock a function that never returns: it would never release",
        )),
        _ => Ok(()),
    }
}

/// Whether a type is called `Result`, whatever its module and arguments.
fn is_result(returned: &Type) -> bool {
    match returned {
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "Result"),
        Type::Group(group) => is_result(&group.elem),
        Type::Paren(paren) => is_result(&paren.elem),
        _ => false,
    }
}

/// Puts `_` for `impl Trait`, which a closure's return type may not say but can infer.
struct Inferred;

impl VisitMut for Inferred {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        match ty {
            Type::ImplTrait(_) => *ty = parse_quote!(_),
            _ => visit_mut::visit_type_mut(self, ty),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(item: TokenStream) -> ItemFn {
        parse2(locked(quote!("job"), item)).expect("the expansion is a function")
    }

    fn output(item: TokenStream) -> String {
        function(item).sig.output.into_token_stream().to_string()
    }

    fn body(item: TokenStream) -> String {
        function(item).block.into_token_stream().to_string()
    }

    #[test]
    fn a_result_is_kept() {
        for output_type in [
            quote!(-> Result<u8, E>),
            quote!(-> io::Result<()>),
            quote!(-> ::std::result::Result<impl Iterator<Item = u8>, E>),
            quote!(-> (Result<u8, E>)),
        ] {
            assert_eq!(
                output(quote!(fn f() #output_type { body })),
                output_type.to_string(),
                "kept as written"
            );
        }
    }

    #[test]
    fn another_type_becomes_a_result() {
        for (written, value) in [
            (quote!(), quote!(())),
            (quote!(-> u8), quote!(u8)),
            (quote!(-> Option<Result<u8, E>>), quote!(Option<Result<u8, E>>)),
            (quote!(-> impl Iterator<Item = u8>), quote!(impl Iterator<Item = u8>)),
        ] {
            let expected: ReturnType = parse_quote!(-> ::core::result::Result<#value, ::pathlock::Error>);
            let expected = expected.into_token_stream().to_string();
            assert_eq!(output(quote!(fn f() #written { body })), expected, "{written}");
        }
    }

    #[test]
    fn everything_but_output_and_body_stays() {
        let written: ItemFn = parse_quote! {
            /// Doc.
            #[must_use]
            pub(crate) unsafe fn f<'a, T: Clone, const N: usize>(&'a mut self, mut x: [T; N]) -> io::Result<&'a T>
            where
                T: Send,
            {
                #![allow(unused)]
                body
            }
        };
        let mut expanded = function(written.to_token_stream());
        expanded.block = written.block.clone();
        let [expanded, written] =
            [expanded, written].map(|function| function.into_token_stream().to_string());
        assert_eq!(expanded, written, "nothing else changes");
    }

    #[test]
    fn the_body_is_one_closure_with_the_declared_type() {
        let item = quote!(
            fn f() -> Result<(u8, impl Copy), E> {
                return x?;
            }
        );
        let closure: syn::Expr = parse_quote!(move || -> Result<(u8, _), E> {
            return x?;
        });
        let closure = closure.into_token_stream().to_string();
        assert!(body(item.clone()).contains(&closure), "{} has {closure}", body(item));
    }

    #[test]
    fn the_body_of_an_async_function_is_one_block_with_the_declared_type() {
        let item = quote!(
            async fn f() -> Result<(u8, impl Copy), E> {
                return x?;
            }
        );
        let block: syn::Expr = parse_quote!(
            __pathlock_hold::<Result<(u8, _), E>>(async move {
                return x?;
            })
            .await
        );
        let block = block.into_token_stream().to_string();
        assert!(body(item.clone()).contains(&block), "{} has {block}", body(item.clone()));
        assert!(function(item).sig.asyncness.is_some(), "it stays asynchronous");
    }

    #[test]
    fn an_error_leaves_the_item_as_it_was() {
        for item in [
            quote!(
                fn f(&self);
            ),
            quote!(
                struct S;
            ),
        ] {
            let expanded = locked(quote!("job"), item.clone()).to_string();
            assert!(expanded.starts_with(&item.to_string()), "{expanded} begins with {item}");
            assert!(expanded.contains("compile_error"), "{expanded} is an error");
        }
    }

    #[test]
    fn what_cannot_be_locked_is_told_why() {
        for (item, said) in [
            (
                quote!(
                    const fn f() {}
                ),
                "a lock is taken at run time",
            ),
            (
                quote!(
                    extern "C" fn f() {}
                ),
                "its callers could not be told",
            ),
            (
                quote!(
                    fn f() -> ! {
                        loop {}
                    }
                ),
                "it would never release",
            ),
            (
                quote!(
                    fn f(&self) -> u8;
                ),
                "put it on the implementations",
            ),
            (
                quote!(
                    struct S;
                ),
                "goes on a function",
            ),
        ] {
            let expanded = locked(quote!("job"), item).to_string();
            assert!(expanded.contains(said), "{expanded} says {said}");
        }
    }
}
