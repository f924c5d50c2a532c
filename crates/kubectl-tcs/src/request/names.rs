//! The names of a request.

use crate::cli::RequestArgs;
use crate::error::Error;
use der::asn1::Ia5String;
use x509_cert::ext::pkix::name::GeneralName;

/// The subject alternative names that the options name. A request needs at least one name.
pub fn all(args: &RequestArgs) -> Result<Vec<GeneralName>, Error> {
    let mut names = Vec::new();
    for name in &args.dns {
        names.push(GeneralName::DnsName(ascii("--dns", name)?));
    }
    for uri in &args.uri {
        names.push(GeneralName::UniformResourceIdentifier(ascii("--uri", uri)?));
    }
    names.extend(args.ip.iter().map(|address| GeneralName::from(*address)));
    for address in &args.email {
        names.push(GeneralName::Rfc822Name(ascii("--email", address)?));
    }
    if names.is_empty() && args.common_name.is_none() {
        return Err(Error::Usage(
            "the certificate needs a name: --dns, --uri, --ip, --email or --common-name".to_owned(),
        ));
    }
    Ok(names)
}

fn ascii(option: &str, name: &str) -> Result<Ia5String, Error> {
    Ia5String::new(name).map_err(|_| {
        Error::Usage(format!(
            "{option} {name:?} is not ASCII; write names of other scripts in punycode (xn--…)"
        ))
    })
}
