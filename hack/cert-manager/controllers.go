package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cert-manager/cert-manager/pkg/controller"
	logf "github.com/cert-manager/cert-manager/pkg/logs"

	// Each of them registers a controller or a type of issuer when it is
	// imported.
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
)

// The defaults of cert-manager's own program
// (internal/apis/config/controller/v1alpha1/defaults.go).
const (
	concurrentWorkers          = 5
	kubernetesAPIQPS           = 20
	kubernetesAPIBurst         = 50
	minimumBackoffAfterFailure = time.Hour
	maximumBackoffAfterFailure = 32 * time.Hour
)

// controllers runs every controller that is imported above, until ctx ends or
// one of them fails. There is no leader election.
func controllers(ctx context.Context, flags *flag.FlagSet, args []string) error {
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig of the account cert-manager")
	namespace := flags.String("cluster-resource-namespace", "cert-manager", "namespace of the Secrets of ClusterIssuers")
	if err := flags.Parse(args); err != nil {
		return err
	}
	options := controller.ContextOptions{
		Kubeconfig: *kubeconfig,
		// These have no effect where the API server limits its clients itself
		// (API Priority and Fairness), which is the default.
		KubernetesAPIQPS:   kubernetesAPIQPS,
		KubernetesAPIBurst: kubernetesAPIBurst,
	}
	options.ClusterResourceNamespace = *namespace
	options.CertificateRequestMinimumBackoffDuration = minimumBackoffAfterFailure
	options.CertificateRequestMaximumBackoffDuration = maximumBackoffAfterFailure
	options.CopiedAnnotationPrefixes = []string{"*", "-kubectl.kubernetes.io/", "-fluxcd.io/", "-argocd.argoproj.io/"}

	factory, err := controller.NewContextFactory(ctx, options)
	if err != nil {
		return err
	}
	root, err := factory.Build()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	known := controller.Known()
	// Constructors register informers, so all of them precede the start of the
	// informers.
	for name, construct := range known {
		constructed, err := construct(factory)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		group.Go(func() error { return constructed.Run(concurrentWorkers, ctx) })
	}
	root.SharedInformerFactory.Start(ctx.Done())
	root.KubeSharedInformerFactory.Start(ctx.Done())
	root.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())
	logf.FromContext(ctx).Info("started", "controllers", len(known))
	return group.Wait()
}
