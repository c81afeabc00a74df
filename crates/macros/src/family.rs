//! `#[derive(EventFamily)]`.

mod subject;
mod variant;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, LitStr};

use self::variant::FamilyVariant;
use crate::krate::Krate;
use crate::names::WireName;
use crate::problems::Problems;
use crate::{data, input, keys, names};

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let variants = input::variants(input, "event", "a family has at least one event")?;
    let (mut name, mut reads, mut krate) = (None, None::<LitStr>, None);
    keys::parse(&input.attrs, "event", |pair| {
        if pair.path.is_ident("family") {
            keys::fill(&mut name, pair, keys::name)
        } else if pair.path.is_ident("reads") {
            keys::fill(&mut reads, pair, subject::pattern)
        } else if pair.path.is_ident("crate") {
            keys::fill(&mut krate, pair, keys::path)
        } else {
            Err(keys::unknown(pair, "event", &["family", "reads", "crate"]))
        }
    })?;
    let mut problems = Problems::default();
    let name = problems.take(name.map_or_else(|| family_name(input), Ok));
    let parsed = variants.iter().map(|variant| FamilyVariant::parse(&input.ident, variant));
    let events: Vec<_> = parsed.filter_map(|event| problems.take(event)).collect();
    problems.take(names::refuse_repeated("event", events.iter().map(|event| &event.name)));
    problems.take(refuse_unread(reads.as_ref(), &events));
    problems.finish()?;

    let family = name.map(|name| name.text).unwrap_or_default();
    let messaging = Krate::find_messaging(krate)?;
    let expansion = messaging.child("family").child("expansion");
    let readers = events.iter().filter_map(|event| event.define_reader(&expansion));
    let has_fields = events.iter().any(FamilyVariant::has_fields);
    let writer = has_fields.then(|| data::define_writer_of_fields(&expansion, &input.ident, variants));
    let nothing = events.iter().any(FamilyVariant::is_empty).then(|| define_nothing(&expansion));
    let implemented = implement(input, &family, reads.as_ref(), &messaging, &events);
    Ok(quote! {
        const _: () = {
            #(#readers)*
            #writer
            #nothing
            #implemented
        };
    })
}

fn implement(
    input: &DeriveInput,
    family: &str,
    reads: Option<&LitStr>,
    messaging: &Krate,
    events: &[FamilyVariant<'_>],
) -> TokenStream {
    let ident = &input.ident;
    let expansion = messaging.child("family").child("expansion");
    let types = events.iter().map(|event| event.listed(messaging));
    let patterns: Vec<_> = match reads {
        Some(reads) => vec![reads.value()],
        None => events.iter().map(|event| event.subject.pattern()).collect(),
    };
    let names = events.iter().map(FamilyVariant::name_arm);
    let subjects = events.iter().map(|event| event.subject_arm(&expansion));
    let content_type = define_content_type(messaging, &expansion, events);
    let encode = events.iter().map(|event| event.encode_arm(&expansion));
    let decode = events.iter().map(|event| event.decode_arm(&expansion));
    quote! {
        #[automatically_derived]
        impl #messaging::family::EventFamily for #ident {
            const NAME: &'static str = #family;

            fn types() -> &'static [#messaging::family::FamilyEvent] {
                &[#(#types,)*]
            }

            fn patterns() -> &'static [&'static str] {
                &[#(#patterns,)*]
            }

            fn name(&self) -> &'static str {
                match self { #(#names,)* }
            }

            fn subject(&self) -> ::std::string::String {
                match self { #(#subjects,)* }
            }

            #content_type

            fn encode(
                &self,
                codec: &dyn #messaging::codec::Codec,
                body: &mut ::std::vec::Vec<u8>,
            ) -> ::core::result::Result<(), #messaging::codec::CodecError> {
                match self { #(#encode,)* }
            }

            fn decode(
                name: &str,
                content_type: &str,
                data: &#expansion::Bytes,
                codecs: &#messaging::codec::Codecs,
            ) -> ::core::result::Result<Self, #messaging::family::FamilyError> {
                ::core::result::Result::Ok(match name {
                    #(#decode,)*
                    _ => {
                        return ::core::result::Result::Err(#messaging::family::FamilyError::Unknown {
                            family: #family,
                            name: ::std::borrow::ToOwned::to_owned(name),
                        });
                    }
                })
            }
        }

        #[automatically_derived]
        impl<S> #messaging::router::FromMessage<S> for #ident {
            fn from_message(
                context: &#messaging::router::Context,
                _: &S,
            ) -> ::core::result::Result<Self, #expansion::Failure> {
                #messaging::family::read(context)
            }
        }
    }
}

/// What payloads say of their media type; the trait speaks for everything else.
fn define_content_type(messaging: &Krate, expansion: &Krate, events: &[FamilyVariant<'_>]) -> Option<TokenStream> {
    let arms: Vec<_> = events.iter().filter_map(|event| event.content_type_arm(expansion)).collect();
    let others = (arms.len() < events.len())
        .then(|| quote!(_ => ::std::borrow::Cow::Borrowed(#messaging::codec::Codec::content_type(codec)),));
    (!arms.is_empty()).then(|| {
        quote! {
            fn content_type<'a>(
                &'a self,
                codec: &'a dyn #messaging::codec::Codec,
            ) -> ::std::borrow::Cow<'a, str> {
                match self { #(#arms,)* #others }
            }
        }
    })
}

/// The data of an event that has none, as it is written: an object, to which members may be added later.
fn define_nothing(expansion: &Krate) -> TokenStream {
    let serde = expansion.text_of("serde");
    quote! {
        #[derive(#expansion::__private::serde::Serialize)]
        #[serde(crate = #serde)]
        struct __Nothing {}
    }
}

fn family_name(input: &DeriveInput) -> syn::Result<WireName> {
    WireName::of(&input.ident, "event")
        .map_err(|error| syn::Error::new(error.span(), error.to_string().replace("#[event(name", "#[event(family")))
}

/// What the family reads has to take all its events, or handlers of the whole family would miss some.
fn refuse_unread(reads: Option<&LitStr>, events: &[FamilyVariant<'_>]) -> syn::Result<()> {
    let Some(reads) = reads else { return Ok(()) };
    let mut problems = Problems::default();
    for event in events.iter().filter(|event| !subject::covers(&reads.value(), &event.subject.pattern())) {
        let (name, pattern) = (&event.name.text, event.subject.pattern());
        let message = format!("`{name}` goes to `{pattern}`, which `reads = \"{}\"` does not take", reads.value());
        problems.add(syn::Error::new(event.name.span, message));
    }
    problems.finish()
}
