package main

import (
	"context"
	"flag"

	config "github.com/cert-manager/cert-manager/internal/apis/config/webhook"
	cmwebhook "github.com/cert-manager/cert-manager/internal/webhook"
	logf "github.com/cert-manager/cert-manager/pkg/logs"
	"github.com/cert-manager/cert-manager/pkg/webhook/server"
)

// webhook serves /validate and /mutate until ctx ends.
func webhook(ctx context.Context, flags *flag.FlagSet, args []string) error {
	var settings config.WebhookConfiguration
	port := flags.Int("port", 0, "port for HTTPS")
	flags.StringVar(&settings.KubeConfig, "kubeconfig", "", "kubeconfig of the account cert-manager-webhook")
	flags.StringVar(&settings.TLSConfig.Filesystem.CertFile, "tls-cert-file", "", "serving certificate, PEM")
	flags.StringVar(&settings.TLSConfig.Filesystem.KeyFile, "tls-private-key-file", "", "its private key, PEM")
	if err := flags.Parse(args); err != nil {
		return err
	}
	settings.SecurePort = int32(*port)
	// No test looks at these, so they need no ports.
	withoutProbes := func(s *server.Server) {
		s.HealthzAddr = nil
		s.MetricsListenAddress = "0"
	}
	built, err := cmwebhook.NewCertManagerWebhookServer(logf.FromContext(ctx), settings, withoutProbes)
	if err != nil {
		return err
	}
	return built.Run(ctx)
}
