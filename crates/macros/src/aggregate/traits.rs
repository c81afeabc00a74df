//! The traits that follow from the block.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Type, parse_quote};

use super::arguments::Arguments;
use super::block::Block;
use super::method::{Carried, Command, Further, Query};
use crate::krate::Krate;
use crate::names::{kebab_case, show};

/// `impl Aggregate`. Its methods are people's own, so unlike the other traits' they are linted.
pub(super) fn aggregate(krate: &Krate, arguments: &Arguments, block: &Block) -> TokenStream {
    let Block { state, lints, folding, .. } = block;
    let (kind, event) = (&arguments.kind.text, &arguments.event);
    let never: Type = parse_quote!(#krate::NeverRejected);
    let rejection = arguments.rejection.as_ref().unwrap_or(&never);
    quote! {
        #(#lints)*
        impl #krate::Aggregate for #state {
            const TYPE: &'static str = #kind;
            type Event = #event;
            type Rejection = #rejection;
            #(#folding)*
        }
    }
}

/// `impl Decide` or `impl Handle`, and the check that command and method have one name.
pub(super) fn command(krate: &Krate, arguments: &Arguments, block: &Block, command: &Command) -> TokenStream {
    let (state, conditions) = (&block.state, &command.carried.conditions);
    let check = same_name(krate, "Command", &command.ident, &command.payload, &command.carried);
    let implementation = if command.is_asynchronous() {
        handle(krate, arguments, state, command)
    } else {
        decide(krate, state, command)
    };
    quote! {
        #check
        #(#conditions)*
        #[automatically_derived]
        #implementation
    }
}

fn decide(krate: &Krate, state: &Type, command: &Command) -> TokenStream {
    let (payload, names) = (&command.payload, event_names(krate, command));
    let context = parameter(command, Further::Context);
    let called = call(krate, command);
    quote! {
        impl #krate::Decide<#payload> for #state {
            fn decide(
                &self,
                command: #payload,
                #context: &#krate::CommandContext,
            ) -> ::core::result::Result<::std::vec::Vec<Self::Event>, Self::Rejection> {
                #called
            }
            #names
        }
    }
}

fn handle(krate: &Krate, arguments: &Arguments, state: &Type, command: &Command) -> TokenStream {
    let (payload, names) = (&command.payload, event_names(krate, command));
    let (context, env_type) = (parameter(command, Further::Context), &arguments.env);
    let called = call(krate, command);
    quote! {
        impl #krate::Handle<#payload, #env_type> for #state {
            async fn handle(
                &self,
                command: #payload,
                #context: &#krate::CommandContext,
                env: &#env_type,
            ) -> ::core::result::Result<::std::vec::Vec<Self::Event>, #krate::HandleError<Self::Rejection>> {
                #called
            }
            #names
        }
    }
}

/// The call of the method, and what it returns made one list. What does not fit is in the return
/// type, so errors point there.
fn call(krate: &Krate, command: &Command) -> TokenStream {
    let method = &command.ident;
    let further = command.further.iter().map(|further| match further {
        Further::Context => quote!(context),
        Further::Env => quote!(env),
    });
    let waited = command.is_asynchronous().then(|| quote!(.await));
    let called = quote!(Self::#method(self, command, #(#further),*) #waited);
    let returned = quote_spanned!(command.output=> let returned = #called?;);
    let events = quote_spanned!(command.events.span()=> returned);
    quote! {
        #returned
        ::core::result::Result::Ok(#krate::IntoEvents::<Self::Event>::into_events(#events))
    }
}

/// The parameter's name, or `_` when the method does not take it.
fn parameter(command: &Command, further: Further) -> TokenStream {
    if command.further.contains(&further) { quote!(context) } else { quote!(_) }
}

/// `event_names`, from the type of the returned events; without it the contract lists all events of the aggregate.
fn event_names(krate: &Krate, command: &Command) -> Option<TokenStream> {
    let events = &command.events;
    let named = !names_impl_trait(events.to_token_stream());
    named.then(|| {
        quote! {
            fn event_names() -> ::std::vec::Vec<&'static str> {
                <#events as #krate::IntoEvents<Self::Event>>::event_names()
            }
        }
    })
}

/// Whether `impl Trait` occurs, which cannot be named elsewhere.
fn names_impl_trait(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        proc_macro2::TokenTree::Ident(ident) => ident == "impl",
        proc_macro2::TokenTree::Group(group) => names_impl_trait(group.stream()),
        proc_macro2::TokenTree::Punct(_) | proc_macro2::TokenTree::Literal(_) => false,
    })
}

/// `impl Answer`, and the check that query and method have one name.
pub(super) fn query(krate: &Krate, block: &Block, query: &Query) -> TokenStream {
    let (state, payload, method) = (&block.state, &query.payload, &query.ident);
    let conditions = &query.carried.conditions;
    let check = same_name(krate, "Query", method, payload, &query.carried);
    let called = quote_spanned!(query.output=> Self::#method(self, query));
    quote! {
        #check
        #(#conditions)*
        #[automatically_derived]
        impl #krate::Answer<#payload> for #state {
            fn answer(&self, query: #payload) -> <#payload as #krate::Query>::Answer {
                #called
            }
        }
    }
}

/// `impl Described`.
pub(super) fn described(krate: &Krate, arguments: &Arguments, block: &Block) -> TokenStream {
    let state = &block.state;
    let env = arguments.env.clone().unwrap_or_else(|| parse_quote!(()));
    let commands = block.commands.iter().map(|command| {
        let (payload, conditions) = (&command.payload, &command.carried.conditions);
        let added = if command.is_asynchronous() {
            quote!(handled_command::<#payload, #env>(::std::sync::Arc::clone(&env)))
        } else {
            quote!(command::<#payload>())
        };
        quote!(#(#conditions)* let description = description.#added;)
    });
    let queries = block.queries.iter().map(|query| {
        let (payload, conditions) = (&query.payload, &query.carried.conditions);
        quote!(#(#conditions)* let description = description.query::<#payload>();)
    });
    let parameter = Ident::new(if arguments.env.is_some() { "env" } else { "_env" }, Span::call_site());
    quote! {
        #[automatically_derived]
        impl #krate::Described for #state {
            type Env = #env;

            fn describe(#parameter: ::std::sync::Arc<Self::Env>) -> #krate::Describe<Self> {
                let description = #krate::Describe::new();
                #(#commands)*
                #(#queries)*
                description
            }
        }
    }
}

/// A constant that does not compile when the payload's name is not the method's.
fn same_name(krate: &Krate, trait_name: &str, method: &Ident, payload: &Type, carried: &Carried) -> TokenStream {
    let what = trait_name.to_lowercase();
    let (trait_name, conditions) = (Ident::new(trait_name, Span::call_site()), &carried.conditions);
    let (expected, method_name, type_name) = (kebab_case(method), method.to_string(), show(payload));
    // Errors point at a call as a whole, so all of it has to be where the method's name is.
    let check = quote_spanned! {method.span()=> check(#what, #type_name, NAME, #method_name, #expected) };
    quote! {
        #(#conditions)*
        const _: () = {
            use #krate::__private::assert_same_name as check;
            const NAME: &str = <#payload as #krate::#trait_name>::NAME;
            #check
        };
    }
}
