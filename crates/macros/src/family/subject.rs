//! Subjects of a family's events: tokens between dots, some of them members of the event.

use proc_macro2::Span;
use syn::parse::ParseStream;
use syn::{Ident, LitStr};

/// The subject of an event.
pub(super) struct Subject {
    tokens: Vec<Token>,
    pub(super) span: Span,
}

pub(super) enum Token {
    Literal(String),
    Member(Ident),
}

impl Subject {
    /// A name as the subject that it is too.
    pub(super) fn of_name(name: &str, span: Span) -> Self {
        Self { tokens: name.split('.').map(|token| Token::Literal(token.to_owned())).collect(), span }
    }

    /// `agent.{agent_id}.started`.
    pub(super) fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let literal: LitStr = input.parse()?;
        let span = literal.span();
        let tokens = literal.value().split('.').map(|token| parse_token(token, span)).collect::<syn::Result<_>>()?;
        Ok(Self { tokens, span })
    }

    pub(super) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    pub(super) fn members(&self) -> impl Iterator<Item = &Ident> {
        self.tokens.iter().filter_map(|token| match token {
            Token::Member(member) => Some(member),
            Token::Literal(_) => None,
        })
    }

    /// The subjects that it may become.
    pub(super) fn pattern(&self) -> String {
        let tokens = self.tokens.iter().map(|token| match token {
            Token::Literal(literal) => literal.as_str(),
            Token::Member(_) => "*",
        });
        tokens.collect::<Vec<_>>().join(".")
    }
}

fn parse_token(token: &str, span: Span) -> syn::Result<Token> {
    if let Some(member) = token.strip_prefix('{').and_then(|token| token.strip_suffix('}')) {
        let mut ident: Ident = syn::parse_str(member)
            .map_err(|_| syn::Error::new(span, format!("`{{{member}}}` does not name a member of the event")))?;
        ident.set_span(span);
        return Ok(Token::Member(ident));
    }
    if is_literal(token) {
        return Ok(Token::Literal(token.to_owned()));
    }
    let message = format!(
        "`{token}` is no token of a subject: a token is `{{member}}`, or ASCII without space, `*`, `>`, `{{` and `}}`"
    );
    Err(syn::Error::new(span, message))
}

fn is_literal(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic() && !b"*>{}".contains(&byte))
}

/// A subject pattern.
pub(super) fn pattern(input: ParseStream<'_>) -> syn::Result<LitStr> {
    let literal: LitStr = input.parse()?;
    let value = literal.value();
    let last = value.split('.').count() - 1;
    let is_token = |(place, token): (usize, &str)| token == "*" || (token == ">" && place == last) || is_literal(token);
    if value.split('.').enumerate().all(is_token) {
        return Ok(literal);
    }
    Err(syn::Error::new(literal.span(), format!("`{value}` is not a subject pattern, such as `agent.>`")))
}

/// Whether every subject that the narrow pattern takes is taken by the wide one too.
pub(super) fn covers(wide: &str, narrow: &str) -> bool {
    let (mut wide, mut narrow) = (wide.split('.'), narrow.split('.'));
    loop {
        match (wide.next(), narrow.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(token)) if token != ">" => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}
