//go:build programs

// Package controlplane holds no code of its own. The blank imports keep the
// control plane's programs in go.mod, so that their versions and hashes are
// pinned here and `go build` needs no fetched source tree. Nothing ever sets
// the build tag; `go mod tidy` looks at every tag.
//
// To move to another release, change both requirements and the version in every
// replace line of go.mod (v0.N.P goes with v1.N.P), then run `go mod tidy`.
package controlplane

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
