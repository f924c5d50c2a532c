// Command go-oracle says what Go's crypto/x509 makes of certificate requests and certificates: a test oracle.
//
// It reads records from standard input: one byte for the kind, four bytes of length (big-endian) and that many bytes of
// contents. It answers to each kind as follows.
//
//   - 'R', a PKCS#10 request, and 'C', a certificate, both DER: the byte '1' (accepted) or '0' (refused).
//   - 'L', a certificate: a line with the names of the rules of RFC 5280 that it breaks according to zlint, separated by
//     commas.
//   - 'V' and 'W', eight bytes of Unix seconds (big-endian), then certificates: a line that says why the first does not verify at
//     that time with the last as root and the others as intermediates; an empty line if it verifies. 'V' verifies it for
//     server authentication, 'W' for client authentication.
//   - 'H', a host, a zero byte and a certificate: '1' if the certificate is valid for the host, else '0'.
//   - 'E', three lines: the address of a proxy for https, a list in the form of NO_PROXY, and an address: a line with the
//     proxy that Go asks for this address, empty if it asks directly.
//   - 'D', a duration: a line with its nanoseconds, or "refused", as time.ParseDuration reads it.
//   - 'P', a PEM text: a line with label and SHA-256 of each block, "label:hex", separated by commas. A PUBLIC KEY is
//     hashed as Go writes the key that it reads there.
package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	zcrypto "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
	"golang.org/x/net/http/httpproxy"
)

var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// signer is a CA that makes certificates from accepted requests, as cert-manager's raw mode does.
type signer struct {
	certificate *x509.Certificate
	key         ed25519.PrivateKey
}

func newSigner() (*signer, error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "go-oracle"},
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &signer{certificate, key}, err
}

// request parses a request, checks its signature, makes a certificate with its subject and names byte for byte, and reads that.
func (s *signer) request(der []byte) bool {
	request, err := x509.ParseCertificateRequest(der)
	if err != nil || request.CheckSignature() != nil {
		return false
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(2),
		RawSubject:            request.RawSubject,
		NotAfter:              time.Now().Add(time.Hour),
		BasicConstraintsValid: true,
	}
	for _, extension := range request.Extensions {
		if extension.Id.Equal(subjectAltName) {
			critical := bytes.Equal(request.RawSubject, []byte{0x30, 0x00})
			copied := pkix.Extension{Id: subjectAltName, Critical: critical, Value: extension.Value}
			template.ExtraExtensions = append(template.ExtraExtensions, copied)
		}
	}
	made, err := x509.CreateCertificate(rand.Reader, template, s.certificate, request.PublicKey, s.key)
	if err != nil {
		return false
	}
	_, err = x509.ParseCertificate(made)
	return err == nil
}

// broken names the rules of RFC 5280 that a certificate breaks.
func broken(der []byte, rules lint.Registry) string {
	certificate, err := zcrypto.ParseCertificate(der)
	if err != nil {
		return "unreadable"
	}
	var names []string
	for name, result := range zlint.LintCertificateEx(certificate, rules).Results {
		if result.Status >= lint.Error {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// verify says why the first certificate does not verify with the last as the only root.
func verify(record []byte, usage x509.ExtKeyUsage) error {
	if len(record) < 8 {
		return errors.New("no time")
	}
	certificates, err := x509.ParseCertificates(record[8:])
	if err != nil {
		return err
	}
	if len(certificates) == 0 {
		return errors.New("no certificate")
	}
	roots, between, last := x509.NewCertPool(), x509.NewCertPool(), len(certificates)-1
	roots.AddCert(certificates[last])
	for _, certificate := range certificates[:last] {
		between.AddCert(certificate)
	}
	_, err = certificates[0].Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: between,
		CurrentTime:   time.Unix(int64(binary.BigEndian.Uint64(record)), 0),
		KeyUsages:     []x509.ExtKeyUsage{usage},
	})
	return err
}

// proxy names the proxy that Go asks for an address.
func proxy(record string) string {
	lines := strings.Split(record, "\n")
	if len(lines) != 3 {
		return "three lines are expected"
	}
	address, err := url.Parse(lines[2])
	if err != nil {
		return err.Error()
	}
	config := httpproxy.Config{HTTPSProxy: lines[0], NoProxy: lines[1]}
	found, err := config.ProxyFunc()(address)
	if err != nil {
		return err.Error()
	}
	if found == nil {
		return ""
	}
	return found.String()
}

// blocks lists what Go finds in a PEM text.
func blocks(text []byte) string {
	var found []string
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return strings.Join(found, ",")
		}
		text = rest
		hash := func(der []byte) string { return fmt.Sprintf("%x", sha256.Sum256(der)) }
		entry := hash(block.Bytes)
		if len(block.Headers) > 0 {
			entry = "headers"
		} else if block.Type == "PUBLIC KEY" {
			entry = "unreadable"
			if key, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
				if der, err := x509.MarshalPKIXPublicKey(key); err == nil {
					entry = hash(der)
				}
			}
		}
		found = append(found, strings.ReplaceAll(block.Type, ",", ";")+":"+entry)
	}
}

func run() error {
	signer, err := newSigner()
	if err != nil {
		return err
	}
	rules, err := lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: lint.SourceList{lint.RFC5280}})
	if err != nil {
		return err
	}
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), bufio.NewWriter(os.Stdout)
	defer out.Flush()
	var header [5]byte
	for {
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		if _, err := io.ReadFull(in, header[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		der := make([]byte, binary.BigEndian.Uint32(header[1:]))
		if _, err := io.ReadFull(in, der); err != nil {
			return err
		}
		accepted := false
		switch header[0] {
		case 'D':
			answer := "refused"
			if duration, err := time.ParseDuration(string(der)); err == nil {
				answer = strconv.FormatInt(int64(duration), 10)
			}
			if _, err := out.WriteString(answer + "\n"); err != nil {
				return err
			}
			continue
		case 'P':
			if _, err := out.WriteString(blocks(der) + "\n"); err != nil {
				return err
			}
			continue
		case 'E':
			if _, err := out.WriteString(proxy(string(der)) + "\n"); err != nil {
				return err
			}
			continue
		case 'L':
			if _, err := out.WriteString(broken(der, rules) + "\n"); err != nil {
				return err
			}
			continue
		case 'V', 'W':
			why, usage := "", x509.ExtKeyUsageServerAuth
			if header[0] == 'W' {
				usage = x509.ExtKeyUsageClientAuth
			}
			if err := verify(der, usage); err != nil {
				why = strings.ReplaceAll(err.Error(), "\n", " ")
			}
			if _, err := out.WriteString(why + "\n"); err != nil {
				return err
			}
			continue
		case 'R':
			accepted = signer.request(der)
		case 'H':
			host, rest, _ := bytes.Cut(der, []byte{0})
			certificate, err := x509.ParseCertificate(rest)
			accepted = err == nil && certificate.VerifyHostname(string(host)) == nil
		case 'C':
			_, err := x509.ParseCertificate(der)
			accepted = err == nil
		}
		answer := byte('0')
		if accepted {
			answer = '1'
		}
		if err := out.WriteByte(answer); err != nil {
			return err
		}
	}
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
