//! The `impl` block: what it holds, sorted and checked.

use std::collections::BTreeSet;

use syn::{Attribute, ImplItem, ImplItemFn, ItemImpl, Type, Visibility, parse_quote};

use super::arguments::Arguments;
use super::client;
use super::method::{Command, Query};
use crate::keys;
use crate::names::show;
use crate::problems::Problems;

/// The block, sorted.
pub(super) struct Block {
    /// The aggregate's state.
    pub(super) state: Type,
    /// Lint levels of the block, which hold for what is taken out of it too.
    pub(super) lints: Vec<Attribute>,
    /// `init` and `evolve`.
    pub(super) folding: Vec<ImplItemFn>,
    pub(super) commands: Vec<Command>,
    pub(super) queries: Vec<Query>,
    /// Whether a method is marked as a command, and one of those as async: known of broken ones too.
    marked: Marked,
    /// The block without `init` and `evolve`, and without the macro's own attributes.
    pub(super) rest: ItemImpl,
}

#[derive(Default)]
struct Marked {
    command: bool,
    asynchronous: bool,
}

/// What a method is to the aggregate.
enum Role {
    Command,
    Query,
    Other,
}

impl Block {
    pub(super) fn parse(item: ItemImpl, arguments: &Arguments) -> syn::Result<Self> {
        refuse_trait_or_generics(&item)?;
        let mut block = Self {
            state: (*item.self_ty).clone(),
            lints: item.attrs.iter().filter(|attribute| is_lint_level(attribute)).cloned().collect(),
            folding: Vec::new(),
            commands: Vec::new(),
            queries: Vec::new(),
            marked: Marked::default(),
            rest: ItemImpl { items: Vec::new(), ..item.clone() },
        };
        let mut problems = Problems::default();
        for item in item.items {
            problems.take(block.sort(item, arguments));
        }
        problems.take(block.check_folding(arguments));
        problems.take(block.check_commands(arguments));
        let always = block.queries.iter().filter(|query| query.carried.conditions.is_empty());
        problems.take(refuse_repeated("query", always.map(|query| &query.payload)));
        if arguments.client.is_some() {
            problems.take(block.check_client());
        }
        problems.finish().map(|()| block)
    }

    fn sort(&mut self, item: ImplItem, arguments: &Arguments) -> syn::Result<()> {
        let ImplItem::Fn(mut method) = item else {
            self.rest.items.push(item);
            return Ok(());
        };
        let role = role(&method);
        if method.attrs.iter().any(|attribute| attribute.path().is_ident("command")) {
            self.marked.command = true;
            self.marked.asynchronous |= method.sig.asyncness.is_some();
        }
        method.attrs.retain(|attribute| !is_marker(attribute));
        if folds(&method) {
            // A method of a trait is as visible as the trait.
            method.vis = Visibility::Inherited;
            self.folding.push(method);
            return role.map(drop);
        }
        match role? {
            Role::Command => self.commands.push(Command::parse(&method, arguments)?),
            Role::Query => self.queries.push(Query::parse(&method)?),
            Role::Other => {
                self.rest.items.push(ImplItem::Fn(method));
                return Ok(());
            }
        }
        method.attrs.push(allow_required_signature());
        self.rest.items.push(ImplItem::Fn(method));
        Ok(())
    }

    fn check_folding(&self, arguments: &Arguments) -> syn::Result<()> {
        let event = show(&arguments.event);
        let required = [
            ("init", "fn init(id: &AggregateId) -> Self".to_owned(), "the state before the first event"),
            ("evolve", format!("fn evolve(&mut self, event: &{event})"), "how the state takes in what happened"),
        ];
        let mut problems = Problems::default();
        for (name, signature, what) in required {
            if !self.folding.iter().any(|method| method.sig.ident == name) {
                let message = format!("`{name}` is missing: add `{signature}`, {what}");
                problems.add(syn::Error::new_spanned(&self.state, message));
            }
        }
        problems.finish()
    }

    fn check_commands(&self, arguments: &Arguments) -> syn::Result<()> {
        let mut problems = Problems::default();
        if !self.marked.command {
            let message = "an aggregate has at least one command: mark a method with `#[command]`";
            problems.add(syn::Error::new_spanned(&self.state, message));
        }
        if let (Some(env), false) = (&arguments.env, self.marked.asynchronous) {
            let message = "only async commands get an `env`, and there is none here: leave this key out";
            problems.add(syn::Error::new_spanned(env, message));
        }
        let always = self.commands.iter().filter(|command| command.carried.conditions.is_empty());
        problems.take(refuse_repeated("command", always.map(|command| &command.payload)));
        problems.finish()
    }

    fn check_client(&self) -> syn::Result<()> {
        let mut problems = Problems::default();
        let methods = self.commands.iter().map(|command| &command.ident);
        for method in methods.chain(self.queries.iter().map(|query| &query.ident)) {
            if client::OWN_METHODS.iter().any(|own| method == own) {
                let message = format!("every client has a method `{method}` of its own: name this one otherwise");
                problems.add(syn::Error::new(method.span(), message));
            }
        }
        problems.finish()
    }
}

/// The block without what only the macro understands, to stand beside its errors.
pub(super) fn without_markers(mut item: ItemImpl) -> ItemImpl {
    item.trait_ = None;
    for method in &mut item.items {
        if let ImplItem::Fn(method) = method {
            method.attrs.retain(|attribute| !is_marker(attribute));
        }
    }
    item
}

fn role(method: &ImplItemFn) -> syn::Result<Role> {
    let markers: Vec<_> = method.attrs.iter().filter(|attribute| is_marker(attribute)).collect();
    match markers.as_slice() {
        [] => Ok(Role::Other),
        [marker, ..] if folds(method) => {
            let message = format!("`{}` is the aggregate's own: name this method otherwise", method.sig.ident);
            Err(syn::Error::new_spanned(marker, message))
        }
        [marker] if marker.path().is_ident("command") => {
            let instead = "the command's name is its type's, in `#[derive(Command)]`";
            keys::refuse_arguments(marker, "command", instead).map(|()| Role::Command)
        }
        [marker] => {
            let instead = "the query's name is its type's, in `#[derive(Query)]`";
            keys::refuse_arguments(marker, "query", instead).map(|()| Role::Query)
        }
        [_, second, ..] => Err(syn::Error::new_spanned(second, "a method is one command or one query")),
    }
}

/// Whether it is `init` or `evolve`, which fold the history.
fn folds(method: &ImplItemFn) -> bool {
    ["init", "evolve"].iter().any(|name| method.sig.ident == name)
}

fn is_marker(attribute: &Attribute) -> bool {
    ["command", "query"].iter().any(|marker| attribute.path().is_ident(marker))
}

fn is_lint_level(attribute: &Attribute) -> bool {
    ["allow", "warn", "deny", "forbid"].iter().any(|level| attribute.path().is_ident(level))
}

/// The signature of a command or a query is the macro's rule and not the author's choice.
fn allow_required_signature() -> Attribute {
    parse_quote!(#[allow(
        clippy::needless_pass_by_value,
        clippy::unnecessary_wraps,
        clippy::unused_async,
        clippy::unused_self,
        reason = "the aggregate macro requires this signature"
    )])
}

fn refuse_trait_or_generics(item: &ItemImpl) -> syn::Result<()> {
    if let Some((path, _)) = &item.trait_ {
        let message = "`#[aggregate(…)]` stands on the block without a trait: write `impl State { … }`";
        return Err(syn::Error::new_spanned(path, message));
    }
    if !item.generics.params.is_empty() {
        let message = "generic parameters cannot be here: an aggregate has one type on the wire and one schema";
        return Err(syn::Error::new_spanned(&item.generics.params, message));
    }
    Ok(())
}

/// For methods without `#[cfg]`: two that exclude each other may take the same.
fn refuse_repeated<'a>(what: &str, payloads: impl Iterator<Item = &'a Type>) -> syn::Result<()> {
    let (mut seen, mut problems) = (BTreeSet::new(), Problems::default());
    for payload in payloads {
        let text = show(payload);
        if !seen.insert(text.clone()) {
            let message = format!("another method takes the {what} `{text}` already: a {what} has one method");
            problems.add(syn::Error::new_spanned(payload, message));
        }
    }
    problems.finish()
}
