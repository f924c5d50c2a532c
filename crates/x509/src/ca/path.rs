//! Builds certification paths among delivered certificates (RFC 5280, section 6.1, from the issuing CA
//! upwards).
//!
//! A certificate is above another one if its subject is the issuer there, byte for byte, and its key verifies
//! the signature. A path contains no CA (subject and key) twice. Every certificate has one issuing CA, so
//! that paths branch only where several certificates of one CA were delivered: of eight certificates there
//! are at most a dozen paths.

use super::certificate::CaCertificate;
use super::label::Labelled;
use crate::Error;

/// Chooses the path that is published: certificates from the issuing CA upwards. Of several paths it is the
/// first by these rules: without a fault (at `now`, Unix seconds, if given); with the certificate of the
/// issuing CA that was delivered first; with a self-signed certificate at its end; the shortest; the one
/// whose certificates were delivered first.
pub fn choose(certificates: &[Labelled], now: Option<i64>) -> Result<Vec<CaCertificate>, Error> {
    let graph = Graph::new(certificates);
    graph.check_all_above()?;
    let ranked = graph.paths().into_iter().map(|path| {
        let fault = graph.check(&path, now).err();
        let ends_open = path.last().is_none_or(|top| !top.certificate.is_self_issued());
        ((fault.is_some(), path.first().map(|first| first.position), ends_open, path.len()), path, fault)
    });
    // The first of equals, and paths are in the order of delivery.
    let Some((_, path, fault)) = ranked.min_by_key(|(rank, ..)| *rank) else {
        return Err(Error::CertificateMalformed("no certificate was given".into()));
    };
    match fault {
        Some(fault) => Err(fault),
        None => Ok(path.into_iter().map(|labelled| labelled.certificate.clone()).collect()),
    }
}

/// What is known of two certificates of which one has the name of the other's issuer.
enum Link {
    Signed,
    /// The signature cannot be verified, because its algorithm is not supported.
    Unverified(Error),
    /// The key did not make the signature.
    Foreign,
}

/// The certificates, and for each those with the name of its issuer.
struct Graph<'c> {
    certificates: &'c [Labelled],
    links: Vec<Vec<(&'c Labelled, Link)>>,
}

impl<'c> Graph<'c> {
    fn new(certificates: &'c [Labelled]) -> Self {
        let links_of = |below: &Labelled| {
            let others = certificates.iter().filter(|above| above.position != below.position);
            let named = others.filter(|above| above.certificate.subject == below.certificate.issuer);
            named.map(|above| (above, link(below, above))).collect()
        };
        Self { certificates, links: certificates.iter().map(links_of).collect() }
    }

    fn links(&self, of: &Labelled) -> impl Iterator<Item = &(&'c Labelled, Link)> {
        let at = self.certificates.iter().position(|other| other.position == of.position);
        at.and_then(|at| self.links.get(at)).into_iter().flatten()
    }

    /// The certificates of the issuing CA: of the first one, and of others with its subject and key.
    fn issuing(&self) -> impl Iterator<Item = &'c Labelled> {
        let first = self.certificates.first();
        let same = move |other: &&Labelled| {
            first.is_some_and(|first| first.certificate.is_of_same_ca(&other.certificate))
        };
        self.certificates.iter().filter(same)
    }

    fn paths(&self) -> Vec<Vec<&'c Labelled>> {
        let mut found = Vec::new();
        for start in self.issuing() {
            self.extend(&[start], &mut found);
        }
        found
    }

    /// Adds all paths that begin with this one and cannot be extended.
    fn extend(&self, path: &[&'c Labelled], found: &mut Vec<Vec<&'c Labelled>>) {
        let Some(top) = path.last() else { return };
        let is_new =
            |above: &Labelled| path.iter().all(|below| !below.certificate.is_of_same_ca(&above.certificate));
        let mut open = true;
        for (above, link) in self.links(top) {
            if matches!(link, Link::Signed) && is_new(above) {
                open = false;
                self.extend(&[path, &[*above]].concat(), found);
            }
        }
        if open {
            found.push(path.to_vec());
        }
    }

    /// Every certificate must be above the issuing CA, in one of the paths or in one that cannot be verified.
    fn check_all_above(&self) -> Result<(), Error> {
        let mut reached: Vec<&Labelled> = self.issuing().collect();
        let mut next = 0;
        while let Some(below) = reached.get(next).copied() {
            for (above, link) in self.links(below) {
                let is_new = reached.iter().all(|seen| seen.position != above.position);
                if is_new && !matches!(link, Link::Foreign) {
                    reached.push(above);
                }
            }
            next = next.saturating_add(1);
        }
        let stranger =
            self.certificates.iter().find(|other| reached.iter().all(|seen| seen.position != other.position));
        stranger.map_or(Ok(()), |stranger| Err(not_above(stranger, &reached)))
    }

    fn check(&self, path: &[&Labelled], now: Option<i64>) -> Result<(), Error> {
        for labelled in path {
            let checked = now.map_or(Ok(()), |now| labelled.certificate.check_validity(now));
            checked.map_err(|error| labelled.blame(error))?;
        }
        if let Some(top) = path.last().filter(|top| !top.certificate.is_self_issued()) {
            // A certificate of its issuer was delivered, and nothing is known of the signature.
            let unverified = self.links(top).find_map(|(_, link)| match link {
                Link::Unverified(error) => Some(error.clone()),
                _ => None,
            });
            unverified.map_or(Ok(()), |error| Err(top.blame(error)))?;
        }
        check_path_lengths(path)?;
        check_name_constraints(path)
    }
}

fn link(below: &Labelled, above: &Labelled) -> Link {
    match below.certificate.check_signed_by(&above.certificate) {
        Ok(()) => Link::Signed,
        Err(Error::ChainBroken(_)) => Link::Foreign,
        Err(error) => Link::Unverified(error),
    }
}

/// Why a certificate is not above those that are.
fn not_above(stranger: &Labelled, reached: &[&Labelled]) -> Error {
    let label = &stranger.label;
    let below = |fits: &dyn Fn(&CaCertificate) -> bool| reached.iter().find(|below| fits(&below.certificate));
    if let Some(below) = below(&|below| below.issuer == stranger.certificate.subject) {
        let why =
            format!("{label} has the name of the issuer of {}, but its key did not sign it", below.label);
        return Error::ChainBroken(why.into());
    }
    let same_text = |below: &CaCertificate| {
        crate::name::rdns(&below.issuer).is_ok_and(|issuer| issuer == stranger.certificate.rdns)
    };
    if let Some(below) = below(&same_text) {
        let why = format!(
            "{label} has the name of the issuer of {}, but in other string types or letters, and Go compares \
             names byte for byte; issue one of them anew with the same bytes",
            below.label
        );
        return Error::ChainBroken(why.into());
    }
    let why = format!(
        "{label} is not above the issuing CA; put the certificate of the issuing CA first, and leave out those \
         that are not above it"
    );
    Error::ChainBroken(why.into())
}

fn check_path_lengths(path: &[&Labelled]) -> Result<(), Error> {
    for (below, labelled) in path.iter().enumerate() {
        if labelled.certificate.path_length.is_some_and(|allowed| usize::from(allowed) < below) {
            let why = format!("the path length of {} does not allow the CAs below it", labelled.label);
            return Err(Error::ChainBroken(why.into()));
        }
    }
    Ok(())
}

/// RFC 5280, section 6.1.3 (b): a self-issued certificate may be anywhere in the chain.
fn check_name_constraints(path: &[&Labelled]) -> Result<(), Error> {
    for (depth, above) in path.iter().enumerate() {
        let Some(constraints) = &above.certificate.constraints else { continue };
        let mut lower = path.iter().take(depth).filter(|lower| !lower.certificate.is_self_issued());
        if let Some(lower) = lower.find(|lower| !constraints.allow_subject(&lower.certificate.subject)) {
            let why =
                format!("the name of {} is outside the name constraints of {}", lower.label, above.label);
            return Err(Error::ChainBroken(why.into()));
        }
    }
    Ok(())
}
