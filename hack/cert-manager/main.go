// Command cert-manager runs cert-manager's own controllers and its own webhook
// outside of a cluster, so that tests can use them without containers.
//
// cert-manager's programs are modules of their own (its folder cmd), which the
// module proxy does not serve. Its controllers are public packages. Its webhook
// is in internal/, which the path of this module lets it import, as it does for
// the modules in cmd.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	logf "github.com/cert-manager/cert-manager/pkg/logs"
	"k8s.io/component-base/logs"
)

const usage = "usage: cert-manager controllers|webhook [flags]"

func main() {
	logs.InitLogs()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx = logf.NewContext(ctx, logf.Log)
	err := run(ctx, os.Args[1:])
	stop()
	logs.FlushLogs()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cert-manager:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	// A set of its own: controller-runtime, on which the webhook depends,
	// defines the flag kubeconfig in the global one.
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	switch args[0] {
	case "controllers":
		return controllers(ctx, flags, args[1:])
	case "webhook":
		return webhook(ctx, flags, args[1:])
	}
	return errors.New(usage)
}
