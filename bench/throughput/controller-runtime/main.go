// The same rewrite as an author of a Go webhook would write it: controller-runtime's own server, with its metrics, and an
// admission.Handler that answers with the difference between what came and what it makes of it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

func main() {
	port := flag.Int("port", 9443, "port of the webhook, on 127.0.0.1")
	certFile := flag.String("tls-cert", "", "certificate of the webhook")
	keyFile := flag.String("tls-key", "", "key of the certificate, in the same directory")
	flag.Parse()

	ctrl.SetLogger(zap.New())
	server := webhook.NewServer(webhook.Options{
		Host:     "127.0.0.1",
		Port:     *port,
		CertDir:  filepath.Dir(*certFile),
		CertName: filepath.Base(*certFile),
		KeyName:  filepath.Base(*keyFile),
	})
	decoder := admission.NewDecoder(runtime.NewScheme())
	server.Register("/mutate", &admission.Webhook{Handler: handler{decoder}})
	if err := server.Start(ctrl.SetupSignalHandler()); err != nil {
		ctrl.Log.Error(err, "the webhook has ended")
		os.Exit(1)
	}
}

type handler struct{ decoder admission.Decoder }

func (h handler) Handle(_ context.Context, request admission.Request) admission.Response {
	// Istio's own types would parse and write the spec by protobuf's JSON, which costs several times as much.
	object := &unstructured.Unstructured{}
	if err := h.decoder.Decode(request, object); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	if !rewrite(object) {
		return admission.Allowed("")
	}
	rewritten, err := json.Marshal(object)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.PatchResponseFromRaw(request.Object.Raw, rewritten)
}
