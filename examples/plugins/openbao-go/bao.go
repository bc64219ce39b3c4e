package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	pb "certmint.example/openbao/gen/certmint/issuer/v1"
)

// bao is the OpenBao of one issuer object, for one call.
type bao struct {
	url, mount, role, token string
	client                  *http.Client
}

// refusal is an answer that is no success.
type refusal struct {
	status int
	Errors []string `json:"errors"`
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%s (HTTP %d)", strings.Join(r.Errors, "; "), r.status)
}

func newBao(issuer *pb.IssuerConfig) (*bao, *pb.FieldProblem) {
	options, roots := issuer.GetOptions(), (*x509.CertPool)(nil)
	if file := options["ca_file"]; file != "" {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(file)) {
			return nil, &pb.FieldProblem{Field: "ca_file", Problem: "It holds no certificate in PEM form."}
		}
	}
	for _, name := range []string{"mount", "role"} {
		if strings.ContainsAny(options[name], "?#%") || strings.Contains(options[name], "..") {
			return nil, &pb.FieldProblem{Field: name, Problem: "Not a path: write it without ?, #, % and .."}
		}
	}
	mount := strings.Trim(options["mount"], "/")
	if mount == "" {
		mount = "pki"
	}
	return &bao{
		url: strings.TrimRight(options["url"], "/"), mount: mount, role: options["role"],
		token: strings.TrimSpace(issuer.GetSecretOptions()["token"]),
		client: &http.Client{
			Timeout:   30 * time.Second,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true},
			// A token goes to no other address than the one that was set.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func (b *bao) call(ctx context.Context, method, path string, body, answer any) error {
	sent, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, b.url+"/v1/"+path, bytes.NewReader(sent))
	if err != nil {
		return err
	}
	request.Header.Set("X-Vault-Token", b.token)
	response, err := b.client.Do(request)
	if err != nil {
		// The address of the call is in the error of net/http, and no secret.
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		refused := &refusal{status: response.StatusCode}
		_ = json.Unmarshal(text, refused) // a proxy's page has no errors of OpenBao
		return refused
	}
	return json.Unmarshal(text, answer)
}

func (b *bao) sign(ctx context.Context, order *pb.Order) ([][]byte, error) {
	spec := order.GetSpec()
	names := append(append([]string{}, spec.GetDnsNames()...), spec.GetEmails()...)
	body := map[string]any{
		"csr":       string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: order.GetCsrDer()})),
		"alt_names": strings.Join(names, ","),
		"ip_sans":   strings.Join(spec.GetIpAddresses(), ","),
		"uri_sans":  strings.Join(spec.GetUris(), ","),
		// The role cuts it.
		"ttl":                  fmt.Sprintf("%dh", spec.GetValidityMonths()*730),
		"exclude_cn_from_sans": true,
	}
	for _, part := range strings.Split(spec.GetSubject(), ",") {
		if name, ok := strings.CutPrefix(strings.TrimSpace(part), "CN="); ok {
			body["common_name"] = name
		}
	}
	var answer struct {
		Data struct {
			Certificate string   `json:"certificate"`
			IssuingCA   string   `json:"issuing_ca"`
			CAChain     []string `json:"ca_chain"`
		}
	}
	if err := b.call(ctx, "POST", b.mount+"/sign/"+url.PathEscape(b.role), body, &answer); err != nil {
		return nil, err
	}
	above := answer.Data.CAChain
	if len(above) == 0 {
		above = []string{answer.Data.IssuingCA}
	}
	var chain [][]byte
	for _, text := range append([]string{answer.Data.Certificate}, above...) {
		if block, _ := pem.Decode([]byte(text)); block != nil {
			chain = append(chain, block.Bytes)
		}
	}
	return chain, nil
}

func (b *bao) revoke(ctx context.Context, serial []byte) error {
	pairs := make([]string, len(serial))
	for index, octet := range serial {
		pairs[index] = hex.EncodeToString([]byte{octet})
	}
	var answer any
	return b.call(ctx, "POST", b.mount+"/revoke", map[string]any{"serial_number": strings.Join(pairs, ":")}, &answer)
}
