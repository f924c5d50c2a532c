//! Issuers as the watches last saw them.

use super::cached::Cached;
use super::issuer_index::IssuerIndex;
use crate::issuer::Issuer;
use crate::runtime::unreadable::UnreadableObjects;
use kube::Resource as _;
use kube::runtime::reflector::{ObjectRef, Store};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tcs_api::signer::SignerName;
use tcs_api::v1alpha1::{TCSClusterIssuer, TCSIssuer};

/// Whether the first list of a kind is complete. Cheap to clone.
#[derive(Clone, Default)]
pub struct Listed(Arc<AtomicBool>);

impl Listed {
    /// Marks the list as complete.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it is complete.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The watch caches of issuers.
pub struct Caches {
    /// Issuers of namespaces.
    pub issuers: Store<Cached<TCSIssuer>>,
    /// Issuers of the cluster.
    pub cluster_issuers: Store<Cached<TCSClusterIssuer>>,
    /// Finds issuers without looking at all of them.
    pub index: IssuerIndex,
    /// Whether `issuers` is complete.
    pub issuers_listed: Listed,
    /// Whether `cluster_issuers` is complete.
    pub cluster_issuers_listed: Listed,
    /// Watched objects that cannot be decoded.
    pub unreadable: Arc<UnreadableObjects>,
}

impl Caches {
    /// Whether issuers of both kinds are listed.
    pub fn are_listed(&self) -> bool {
        self.issuers_listed.is_set() && self.cluster_issuers_listed.is_set()
    }

    /// The issuers of both kinds. None is copied.
    pub fn all_issuers(&self) -> Vec<Issuer> {
        let cluster = self.cluster_issuers.state();
        let namespaced = self.issuers.state();
        let cluster = cluster.iter().map(|issuer| Issuer::from(issuer.shared()));
        namespaced.iter().map(|issuer| Issuer::from(issuer.shared())).chain(cluster).collect()
    }

    /// The issuer of a signer name.
    pub fn issuer(&self, signer: &SignerName) -> Option<Issuer> {
        match signer {
            SignerName::Namespaced { namespace, name } => {
                let found = self.issuers.get(&ObjectRef::new(name).within(namespace))?;
                Some(Issuer::from(found.shared()))
            }
            SignerName::Cluster { name } => {
                let found = self.cluster_issuers.get(&ObjectRef::new(name))?;
                Some(Issuer::from(found.shared()))
            }
        }
    }

    /// Why the issuer of a signer name cannot be decoded, if it exists and cannot.
    pub fn why_unreadable(&self, signer: &SignerName) -> Option<String> {
        match signer {
            SignerName::Namespaced { namespace, name } => {
                self.unreadable.why(&TCSIssuer::kind(&()), Some(namespace), name)
            }
            SignerName::Cluster { name } => self.unreadable.why(&TCSClusterIssuer::kind(&()), None, name),
        }
    }

    /// The UIDs of all issuers that exist, including those that cannot be decoded.
    ///
    /// # Errors
    ///
    /// A sentence that says why the UIDs cannot be known.
    pub fn existing_issuers(&self) -> Result<HashSet<String>, String> {
        let kinds = [TCSIssuer::kind(&()), TCSClusterIssuer::kind(&())];
        let readable = || self.all_issuers().iter().map(Issuer::uid).collect();
        self.unreadable.existing(&kinds.each_ref().map(AsRef::as_ref), readable)
    }
}
