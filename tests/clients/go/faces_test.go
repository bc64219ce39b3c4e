package clients

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"hash"
	"math/big"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	older "golang.org/x/crypto/pkcs12"
	"software.sslmate.com/src/go-pkcs12"
)

func newECKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func newRSAKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	return key
}

// pfx is an import of a key with a certificate of its own, in today's encryption.
func pfx(t *testing.T, key crypto.Signer, name, password string) azcertificates.ImportCertificateParameters {
	t.Helper()
	encoder := pkcs12.Modern2023
	if password == "" {
		encoder = pkcs12.Passwordless
	}
	return encoded(t, encoder, key, selfSigned(t, name, key), password)
}

func encoded(t *testing.T, encoder *pkcs12.Encoder, key crypto.Signer, certificate *x509.Certificate, password string) azcertificates.ImportCertificateParameters {
	t.Helper()
	file, err := encoder.Encode(key, certificate, nil, password)
	must(t, err)
	parameters := azcertificates.ImportCertificateParameters{Base64EncodedCertificate: to(base64.StdEncoding.EncodeToString(file))}
	if password != "" {
		parameters.Password = to(password)
	}
	return parameters
}

// signs checks that a private key belongs to a certificate, by a signature.
func signs(t *testing.T, key any, certificate *x509.Certificate) {
	t.Helper()
	digest := sha256.Sum256([]byte("message"))
	signature, err := key.(crypto.Signer).Sign(rand.Reader, digest[:], crypto.SHA256)
	must(t, err)
	switch public := certificate.PublicKey.(type) {
	case *ecdsa.PublicKey:
		check(t, "the key signs for the certificate", ecdsa.VerifyASN1(public, digest[:], signature))
	case *rsa.PublicKey:
		must(t, rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature))
	default:
		t.Fatalf("no such key: %T", public)
	}
}

func TestAPfxGoesInAndComesOutWithItsKey(t *testing.T) {
	client, reader := certificates(t, "go-faces"), secrets(t, "go-faces")
	forms := map[string]struct {
		encoder  *pkcs12.Encoder
		key      crypto.Signer
		password string
	}{
		"rc2":          {pkcs12.LegacyRC2, newRSAKey(t), "secret"},
		"des":          {pkcs12.LegacyDES, newECKey(t), "secret"},
		"modern":       {pkcs12.Modern2023, newRSAKey(t), "secret"},
		"newest":       {pkcs12.Modern2026, newECKey(t), "secret"},
		"passwordless": {pkcs12.Passwordless, newECKey(t), ""},
	}
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			own := selfSigned(t, name, form.key)
			parameters := encoded(t, form.encoder, form.key, own, form.password)
			parameters.Tags = map[string]*string{"form": to(name)}
			imported, err := client.ImportCertificate(ctx, name, parameters, nil)
			must(t, err)
			equal(t, "the certificate", string(imported.CER), string(own.Raw))
			equal(t, "the tag", *imported.Tags["form"], name)
			equal(t, "the subject", *imported.Policy.X509CertificateProperties.Subject, "CN="+name)
			thumbprint := sha1.Sum(own.Raw)
			equal(t, "the thumbprint", string(imported.X509Thumbprint), string(thumbprint[:]))

			secret, err := reader.GetSecret(ctx, name, imported.SID.Version(), nil)
			must(t, err)
			equal(t, "the content type", *secret.ContentType, "application/x-pkcs12")
			check(t, "the secret is managed", *secret.Managed)
			file, err := base64.StdEncoding.DecodeString(*secret.Value)
			must(t, err)
			for _, decode := range []func([]byte, string) (any, *x509.Certificate, error){pkcs12.Decode, older.Decode} {
				key, certificate, err := decode(file, "")
				must(t, err)
				equal(t, "the certificate", string(certificate.Raw), string(own.Raw))
				signs(t, key, own)
			}
		})
	}
}

func TestPemGoesInAndComesOut(t *testing.T) {
	client, reader := certificates(t, "go-faces"), secrets(t, "go-faces")
	key := newECKey(t)
	own := selfSigned(t, "pem", key)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Raw}))
	policy := &azcertificates.CertificatePolicy{
		IssuerParameters: &azcertificates.IssuerParameters{Name: to("Unknown")},
		SecretProperties: &azcertificates.SecretProperties{ContentType: to("application/x-pem-file")},
	}
	for name, value := range map[string]string{"pem-raw": text, "pem-base64": base64.StdEncoding.EncodeToString([]byte(text))} {
		_, err = client.ImportCertificate(ctx, name, azcertificates.ImportCertificateParameters{
			Base64EncodedCertificate: to(value), CertificatePolicy: policy,
		}, nil)
		must(t, err)
		secret, err := reader.GetSecret(ctx, name, "", nil)
		must(t, err)
		equal(t, "the content type", *secret.ContentType, "application/x-pem-file")
		equal(t, "the text", *secret.Value, text)
	}
}

func TestACreatedCertificateIsASecretInBothForms(t *testing.T) {
	client, reader := certificates(t, "go-faces"), secrets(t, "go-faces")
	leaf := parse(t, issue(t, client, "created", "Self").CER)
	secret, err := reader.GetSecret(ctx, "created", "", nil)
	must(t, err)
	file, err := base64.StdEncoding.DecodeString(*secret.Value)
	must(t, err)
	key, certificate, err := pkcs12.Decode(file, "")
	must(t, err)
	equal(t, "the certificate", string(certificate.Raw), string(leaf.Raw))
	signs(t, key, leaf)

	secret, err = reader.GetSecret(ctx, "created", "", &azsecrets.GetSecretOptions{OutContentType: to(azsecrets.ContentTypePEM)})
	must(t, err)
	block, rest := pem.Decode([]byte(*secret.Value))
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	must(t, err)
	signs(t, private, leaf)
	block, _ = pem.Decode(rest)
	equal(t, "the certificate", string(block.Bytes), string(leaf.Raw))
}

func TestSecretsAndKeysAreListedAsManaged(t *testing.T) {
	client := certificates(t, "go-listed")
	for range 2 {
		issue(t, client, "one", "Self")
	}
	issue(t, client, "two", "Self")
	reader, signer := secrets(t, "go-listed"), keys(t, "go-listed")
	inSecrets, _ := listed(t, reader.NewListSecretPropertiesPager(nil),
		func(page azsecrets.ListSecretPropertiesResponse) []*azsecrets.SecretProperties { return page.Value })
	inKeys, _ := listed(t, signer.NewListKeyPropertiesPager(nil),
		func(page azkeys.ListKeyPropertiesResponse) []*azkeys.KeyProperties { return page.Value })
	equal(t, "the number of secrets", len(inSecrets), 2)
	equal(t, "the number of keys", len(inKeys), 2)
	for number, name := range []string{"one", "two"} {
		equal(t, "the secret", inSecrets[number].ID.Name(), name)
		equal(t, "the key", inKeys[number].KID.Name(), name)
		check(t, "both are managed", *inSecrets[number].Managed && *inKeys[number].Managed)
	}
	secretVersions, _ := listed(t, reader.NewListSecretPropertiesVersionsPager("one", nil),
		func(page azsecrets.ListSecretPropertiesVersionsResponse) []*azsecrets.SecretProperties {
			return page.Value
		})
	keyVersions, _ := listed(t, signer.NewListKeyPropertiesVersionsPager("one", nil),
		func(page azkeys.ListKeyPropertiesVersionsResponse) []*azkeys.KeyProperties { return page.Value })
	equal(t, "the number of versions", len(secretVersions), 2)
	equal(t, "the number of versions", len(keyVersions), 2)
}

func TestWhatIsWrongIsRefused(t *testing.T) {
	const vault = "go-refused"
	client, reader, signer := certificates(t, vault), secrets(t, vault), keys(t, vault)
	wrong := pfx(t, newECKey(t), "wrong", "secret")
	wrong.Password = to("other")
	_, err := client.ImportCertificate(ctx, "wrong", wrong, nil)
	message, _ := refused(t, err, 400, "BadParameter")
	check(t, "the message says why", strings.Contains(message, "The password is wrong"))
	_, err = reader.GetSecret(ctx, "none", "", nil)
	refused(t, err, 404, "SecretNotFound")
	_, err = signer.GetKey(ctx, "none", "", nil)
	refused(t, err, 404, "KeyNotFound")

	version := issue(t, client, "owned", "Self").ID.Version()
	_, err = reader.SetSecret(ctx, "owned", azsecrets.SetSecretParameters{Value: to("x")}, nil)
	_, inner := refused(t, err, 403, "Forbidden")
	equal(t, "the inner code", inner, "SecretManagedByKeyVault")
	_, err = signer.CreateKey(ctx, "owned", azkeys.CreateKeyParameters{Kty: to(azkeys.KeyTypeRSA)}, nil)
	refused(t, err, 403, "Forbidden")
	_, err = client.UpdateCertificate(ctx, "owned", version, azcertificates.UpdateCertificateParameters{
		CertificateAttributes: &azcertificates.CertificateAttributes{Enabled: to(false)},
	}, nil)
	must(t, err)
	_, err = reader.GetSecret(ctx, "owned", "", nil)
	_, inner = refused(t, err, 403, "Forbidden")
	equal(t, "the inner code", inner, "SecretDisabled")

	_, err = client.CreateCertificate(ctx, "not_a_name", azcertificates.CreateCertificateParameters{CertificatePolicy: chosen("Self", "x")}, nil)
	refused(t, err, 400, "BadParameter")
}

func TestAnRSAKeySignsAndVerifies(t *testing.T) {
	client, signer := certificates(t, "go-keys"), keys(t, "go-keys")
	key := newRSAKey(t)
	_, err := client.ImportCertificate(ctx, "rsa", pfx(t, key, "rsa", ""), nil)
	must(t, err)
	read, err := signer.GetKey(ctx, "rsa", "", nil)
	must(t, err)
	check(t, "the modulus", new(big.Int).SetBytes(read.Key.N).Cmp(key.N) == 0)
	for algorithm, hash := range map[azkeys.SignatureAlgorithm]crypto.Hash{
		azkeys.SignatureAlgorithmRS256: crypto.SHA256, azkeys.SignatureAlgorithmRS384: crypto.SHA384, azkeys.SignatureAlgorithmRS512: crypto.SHA512,
		azkeys.SignatureAlgorithmPS256: crypto.SHA256, azkeys.SignatureAlgorithmPS384: crypto.SHA384, azkeys.SignatureAlgorithmPS512: crypto.SHA512,
	} {
		digest := digestOf(hash)
		signature := remotely(t, signer, "rsa", algorithm, digest)
		if strings.HasPrefix(string(algorithm), "PS") {
			err = rsa.VerifyPSS(&key.PublicKey, hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			err = rsa.VerifyPKCS1v15(&key.PublicKey, hash, digest, signature)
		}
		must(t, err)
	}
}

func TestAnECKeySignsAndVerifies(t *testing.T) {
	client, signer := certificates(t, "go-keys"), keys(t, "go-keys")
	for _, kind := range []struct {
		curve     azcertificates.CurveName
		known     elliptic.Curve
		algorithm azkeys.SignatureAlgorithm
		hash      crypto.Hash
	}{
		{azcertificates.CurveNameP256, elliptic.P256(), azkeys.SignatureAlgorithmES256, crypto.SHA256},
		{azcertificates.CurveNameP384, elliptic.P384(), azkeys.SignatureAlgorithmES384, crypto.SHA384},
		{azcertificates.CurveNameP521, elliptic.P521(), azkeys.SignatureAlgorithmES512, crypto.SHA512},
		// Go knows no such curve: the server alone verifies.
		{azcertificates.CurveNameP256K, nil, azkeys.SignatureAlgorithmES256K, crypto.SHA256},
	} {
		name, policy := "ec-"+string(kind.curve), chosen("Self", "ec")
		policy.KeyProperties.Curve = to(kind.curve)
		_, err := client.CreateCertificate(ctx, name, azcertificates.CreateCertificateParameters{CertificatePolicy: policy}, nil)
		must(t, err)
		equal(t, "the status", *ended(t, client, name).Status, "completed")
		read, err := signer.GetKey(ctx, name, "", nil)
		must(t, err)
		equal(t, "the curve", string(*read.Key.Crv), string(kind.curve))
		digest := digestOf(kind.hash)
		signature := remotely(t, signer, name, kind.algorithm, digest)
		if kind.known == nil {
			continue
		}
		public := ecdsa.PublicKey{Curve: kind.known, X: new(big.Int).SetBytes(read.Key.X), Y: new(big.Int).SetBytes(read.Key.Y)}
		certificate, err := client.GetCertificate(ctx, name, "", nil)
		must(t, err)
		check(t, "the key is the certificate's", sameKey(&public, parse(t, certificate.CER).PublicKey))
		half := len(signature) / 2
		r, s := new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])
		check(t, "the signature verifies", ecdsa.Verify(&public, digest, r, s))
	}
}

// remotely signs and lets the server verify, a damaged signature too.
func remotely(t *testing.T, signer *azkeys.Client, name string, algorithm azkeys.SignatureAlgorithm, digest []byte) []byte {
	t.Helper()
	signed, err := signer.Sign(ctx, name, "", azkeys.SignParameters{Algorithm: &algorithm, Value: digest}, nil)
	must(t, err)
	damaged := bytes.Clone(signed.Result)
	damaged[len(damaged)-1] ^= 1
	for _, signature := range [][]byte{signed.Result, damaged} {
		parameters := azkeys.VerifyParameters{Algorithm: &algorithm, Digest: digest, Signature: signature}
		verified, err := signer.Verify(ctx, name, signed.KID.Version(), parameters, nil)
		must(t, err)
		equal(t, "the verdict", *verified.Value, bytes.Equal(signature, signed.Result))
	}
	return signed.Result
}

func digestOf(hash crypto.Hash) []byte {
	state := hash.New()
	state.Write([]byte("message"))
	return state.Sum(nil)
}

func TestAnRSAKeyEncryptsAndWraps(t *testing.T) {
	client, signer := certificates(t, "go-keys"), keys(t, "go-keys")
	key := newRSAKey(t)
	_, err := client.ImportCertificate(ctx, "wrap", pfx(t, key, "wrap", ""), nil)
	must(t, err)
	text := []byte("thirty-two bytes of a secret key")
	oaep := func(hash func() hash.Hash) (seal, open func([]byte) ([]byte, error)) {
		return func(text []byte) ([]byte, error) {
				return rsa.EncryptOAEP(hash(), rand.Reader, &key.PublicKey, text, nil)
			},
			func(sealed []byte) ([]byte, error) { return rsa.DecryptOAEP(hash(), rand.Reader, key, sealed, nil) }
	}
	sealSHA1, openSHA1 := oaep(sha1.New)
	sealSHA256, openSHA256 := oaep(sha256.New)
	for algorithm, here := range map[azkeys.EncryptionAlgorithm][2]func([]byte) ([]byte, error){
		azkeys.EncryptionAlgorithmRSAOAEP:    {sealSHA1, openSHA1},
		azkeys.EncryptionAlgorithmRSAOAEP256: {sealSHA256, openSHA256},
		azkeys.EncryptionAlgorithmRSA15: {
			func(text []byte) ([]byte, error) { return rsa.EncryptPKCS1v15(rand.Reader, &key.PublicKey, text) },
			func(sealed []byte) ([]byte, error) { return rsa.DecryptPKCS1v15(rand.Reader, key, sealed) },
		},
	} {
		with := func(value []byte) azkeys.KeyOperationParameters {
			return azkeys.KeyOperationParameters{Algorithm: to(algorithm), Value: value}
		}
		sealed, err := here[0](text)
		must(t, err)
		decrypted, err := signer.Decrypt(ctx, "wrap", "", with(sealed), nil)
		must(t, err)
		equal(t, "the decrypted text", string(decrypted.Result), string(text))
		unwrapped, err := signer.UnwrapKey(ctx, "wrap", "", with(sealed), nil)
		must(t, err)
		equal(t, "the unwrapped key", string(unwrapped.Result), string(text))
		encrypted, err := signer.Encrypt(ctx, "wrap", "", with(text), nil)
		must(t, err)
		wrapped, err := signer.WrapKey(ctx, "wrap", "", with(text), nil)
		must(t, err)
		for _, sealed := range [][]byte{encrypted.Result, wrapped.Result} {
			opened, err := here[1](sealed)
			must(t, err)
			equal(t, "the text", string(opened), string(text))
		}
	}
}
