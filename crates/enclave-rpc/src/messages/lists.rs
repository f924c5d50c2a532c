//! Lists in requests, whose length is limited while they are decoded.

use minicbor::{Decode, Decoder, Encode, decode};

/// Maximum number of entries of a list in a request. A longer list is refused while it is decoded.
pub const MAX_LIST: usize = 64;

/// At most [`MAX_LIST`] texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(pub Vec<String>);

impl<C> Encode<C> for Texts {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        context: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        self.0.encode(encoder, context)
    }
}

impl<'b, C> Decode<'b, C> for Texts {
    fn decode(decoder: &mut Decoder<'b>, context: &mut C) -> Result<Self, decode::Error> {
        decode_list(decoder, context).map(Self)
    }
}

/// Decodes a list of at most [`MAX_LIST`] entries. One byte on the wire can become an entry of 24 bytes in
/// memory, so without a limit a small frame would need much memory.
pub(super) fn decode_list<'b, C, T: Decode<'b, C>>(
    decoder: &mut Decoder<'b>,
    context: &mut C,
) -> Result<Vec<T>, decode::Error> {
    let mut list = Vec::new();
    for entry in decoder.array_iter_with(context)? {
        if list.len() == MAX_LIST {
            return Err(decode::Error::message("list too long"));
        }
        list.push(entry?);
    }
    Ok(list)
}
