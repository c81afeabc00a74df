//! The methods that are commands and queries: their signatures, read and checked.

use proc_macro2::Span;
use quote::ToTokens as _;
use syn::{
    Attribute, FnArg, GenericArgument, Ident, ImplItemFn, PatType, PathArguments, ReceiverKind, ReturnType, Type,
};

use super::arguments::Arguments;
use crate::names::show;

/// A method marked `#[command]`.
pub(super) struct Command {
    pub(super) ident: Ident,
    /// The command's type.
    pub(super) payload: Type,
    /// What it returns when it does not say no.
    pub(super) events: Type,
    /// Where to point when what it returns does not fit.
    pub(super) output: Span,
    pub(super) carried: Carried,
    kind: Kind,
    /// What it takes after the command, in its order.
    pub(super) further: Vec<Further>,
}

/// A method marked `#[query]`.
pub(super) struct Query {
    pub(super) ident: Ident,
    /// The query's type.
    pub(super) payload: Type,
    pub(super) output: Span,
    pub(super) carried: Carried,
}

/// Attributes of the method that hold for what is made of it too.
pub(super) struct Carried {
    pub(super) documentation: Vec<Attribute>,
    pub(super) conditions: Vec<Attribute>,
}

#[derive(PartialEq)]
enum Kind {
    Pure,
    Asynchronous,
}

/// What a command may take beside its payload.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Further {
    Context,
    Env,
}

impl Command {
    pub(super) fn parse(method: &ImplItemFn, arguments: &Arguments) -> syn::Result<Self> {
        let shared = "a command does not change the state, its events do in `evolve`: take `&self`";
        let (payload, rest) = parameters(method, "command", shared)?;
        let kind = if method.sig.asyncness.is_some() { Kind::Asynchronous } else { Kind::Pure };
        let further = match kind {
            Kind::Pure => rest.iter().map(|parameter| pure_parameter(parameter)).collect::<syn::Result<Vec<_>>>()?,
            Kind::Asynchronous => asynchronous_parameters(method, &rest, arguments)?,
        };
        refuse_repeated(&rest, &further)?;
        let output = returned(method, "a command returns `Result<events, rejection>`")?;
        Ok(Self {
            ident: method.sig.ident.clone(),
            payload: payload.clone(),
            events: events(output)?.clone(),
            output: span_of(output),
            carried: Carried::by(method),
            kind,
            further,
        })
    }

    pub(super) fn is_asynchronous(&self) -> bool {
        self.kind == Kind::Asynchronous
    }
}

impl Query {
    pub(super) fn parse(method: &ImplItemFn) -> syn::Result<Self> {
        if let Some(asyncness) = &method.sig.asyncness {
            let message = "a query answers from the state alone: leave `async` out";
            return Err(syn::Error::new_spanned(asyncness, message));
        }
        let (payload, rest) = parameters(method, "query", "a query does not change the state: take `&self`")?;
        if let Some(further) = rest.first() {
            return Err(syn::Error::new_spanned(further, "a query takes `&self` and the query, and nothing else"));
        }
        let output = returned(method, "a query returns its answer")?;
        let (ident, carried) = (method.sig.ident.clone(), Carried::by(method));
        Ok(Self { ident, payload: payload.clone(), output: span_of(output), carried })
    }
}

impl Carried {
    fn by(method: &ImplItemFn) -> Self {
        let named = |name: &str| method.attrs.iter().filter(|held| held.path().is_ident(name)).cloned().collect();
        Self { documentation: named("doc"), conditions: named("cfg") }
    }
}

/// The payload's type and the parameters after it.
fn parameters<'a>(method: &'a ImplItemFn, what: &str, shared: &str) -> syn::Result<(&'a Type, Vec<&'a PatType>)> {
    let signature = &method.sig;
    if !signature.generics.params.is_empty() {
        let message = format!("generic parameters cannot be here: each {what} has one name and one schema");
        return Err(syn::Error::new_spanned(&signature.generics.params, message));
    }
    let mut inputs = signature.inputs.iter();
    match inputs.next() {
        Some(FnArg::Receiver(receiver)) if matches!(receiver.kind, ReceiverKind::Reference(_, _, None)) => {}
        Some(FnArg::Receiver(receiver)) => return Err(syn::Error::new_spanned(receiver, shared)),
        Some(FnArg::Typed(_)) | None => return Err(syn::Error::new(signature.ident.span(), shared)),
    }
    let mut typed = inputs.filter_map(|input| match input {
        FnArg::Typed(parameter) => Some(parameter),
        FnArg::Receiver(_) => None,
    });
    let Some(payload) = typed.next() else {
        let message = format!("`{}` does not take its {what}: add a parameter after `&self`", signature.ident);
        return Err(syn::Error::new(signature.ident.span(), message));
    };
    if let Type::Reference(reference) = &*payload.ty {
        let message = format!("the {what} comes by value: write `{}`", show(&reference.elem));
        return Err(syn::Error::new_spanned(&payload.ty, message));
    }
    Ok((&payload.ty, typed.collect()))
}

fn pure_parameter(parameter: &PatType) -> syn::Result<Further> {
    if is_context(&parameter.ty) {
        return Ok(Further::Context);
    }
    let message = "a command takes `&self`, the command and, where it needs it, `context: &CommandContext`; \
                   only an async command gets an `env`";
    Err(syn::Error::new_spanned(parameter, message))
}

fn asynchronous_parameters(method: &ImplItemFn, rest: &[&PatType], arguments: &Arguments) -> syn::Result<Vec<Further>> {
    let Some(env) = &arguments.env else {
        let message = "an async command asks its environment, and there is none: \
                       add `env = Type` to `#[aggregate(…)]`, or leave `async` out";
        return Err(syn::Error::new_spanned(method.sig.asyncness, message));
    };
    let further = rest.iter().map(|parameter| match &*parameter.ty {
        ty if is_context(ty) => Ok(Further::Context),
        Type::Reference(_) => Ok(Further::Env),
        _ => {
            let message = format!(
                "an async command takes `&self`, the command, `env: &{}` and, where it needs it, \
                 `context: &CommandContext`",
                show(env)
            );
            Err(syn::Error::new_spanned(parameter, message))
        }
    });
    let further = further.collect::<syn::Result<Vec<_>>>()?;
    if further.contains(&Further::Env) {
        return Ok(further);
    }
    let message =
        format!("`{}` does not take what it asks: add `env: &{}`, or leave `async` out", method.sig.ident, show(env));
    Err(syn::Error::new(method.sig.ident.span(), message))
}

fn refuse_repeated(rest: &[&PatType], further: &[Further]) -> syn::Result<()> {
    for (index, parameter) in rest.iter().enumerate() {
        if further[..index].contains(&further[index]) {
            let what = match further[index] {
                Further::Context => "the context",
                Further::Env => "the environment",
            };
            return Err(syn::Error::new_spanned(parameter, format!("{what} is there twice: leave this one out")));
        }
    }
    Ok(())
}

fn is_context(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else { return false };
    let Type::Path(path) = &*reference.elem else { return false };
    path.path.segments.last().is_some_and(|last| last.ident == "CommandContext")
}

fn returned<'a>(method: &'a ImplItemFn, rule: &str) -> syn::Result<&'a Type> {
    match &method.sig.output {
        ReturnType::Type(_, output) => Ok(output),
        ReturnType::Default => {
            Err(syn::Error::new(method.sig.ident.span(), format!("{rule}, and `{}` returns nothing", method.sig.ident)))
        }
    }
}

/// The first argument of `Result<…>`, or of an alias of that name.
fn events(output: &Type) -> syn::Result<&Type> {
    if let Type::Path(path) = output
        && let Some(last) = path.path.segments.last()
        && last.ident == "Result"
        && let PathArguments::AngleBracketed(generic) = &last.arguments
        && let Some(GenericArgument::Type(events)) = generic.args.first()
    {
        return Ok(events);
    }
    let message = "a command returns `Result<events, rejection>`, written out here so that the contract \
                   can list the events";
    Err(syn::Error::new_spanned(output, message))
}

fn span_of(ty: &Type) -> Span {
    use syn::spanned::Spanned as _;
    ty.to_token_stream().span()
}
