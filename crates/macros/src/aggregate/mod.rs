//! `#[aggregate(…)]`.

mod arguments;
mod block;
mod client;
mod method;
mod traits;

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemImpl;

use self::arguments::Arguments;
use self::block::Block;
use crate::krate::Krate;

/// The block as it was, without the macro's own attributes, and what follows from it. When
/// something is wrong the block is still there, so that one mistake is not reported twice.
pub(crate) fn expand(arguments: TokenStream, tokens: &TokenStream) -> TokenStream {
    let item: ItemImpl = match syn::parse2(tokens.clone()) {
        Ok(item) => item,
        Err(error) => {
            let message = "`#[aggregate(…)]` stands on the `impl` block of the aggregate's state";
            let mut wrong = syn::Error::new(proc_macro2::Span::call_site(), message);
            wrong.combine(error);
            let wrong = wrong.into_compile_error();
            return quote!(#wrong #tokens);
        }
    };
    let bare = block::without_markers(item.clone());
    match Arguments::parse(arguments).and_then(|arguments| lower(&arguments, item)) {
        Ok(expanded) => expanded,
        Err(errors) => {
            let errors = errors.into_compile_error();
            quote!(#errors #bare)
        }
    }
}

fn lower(arguments: &Arguments, item: ItemImpl) -> syn::Result<TokenStream> {
    let krate = Krate::find(arguments.krate.clone())?;
    let block = Block::parse(item, arguments)?;
    let aggregate = traits::aggregate(&krate, arguments, &block);
    let commands = block.commands.iter().map(|command| traits::command(&krate, arguments, &block, command));
    let queries = block.queries.iter().map(|query| traits::query(&krate, &block, query));
    let described = traits::described(&krate, arguments, &block);
    let client = arguments.client.as_ref().map(|client| client::define(&krate, arguments, client, &block));
    let rest = &block.rest;
    Ok(quote! {
        #rest
        #aggregate
        #(#commands)*
        #(#queries)*
        #described
        #client
    })
}
