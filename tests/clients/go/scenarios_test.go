package clients

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

const vault = "go-scenarios"

// answered is a context that keeps the raw answer.
func answered() (context.Context, **http.Response) {
	var response *http.Response
	return policy.WithCaptureResponse(ctx, &response), &response
}

func TestACertificateIsRequestedFromAnIssuerAndCompletes(t *testing.T) {
	client := certificates(t, vault)
	_, err := client.SetIssuer(ctx, "local", azcertificates.SetIssuerParameters{
		Provider: to("LocalCA"), OrganizationDetails: &azcertificates.OrganizationDetails{ID: to("Go Root")},
	}, nil)
	must(t, err)
	parameters := azcertificates.CreateCertificateParameters{CertificatePolicy: chosen("local", "issued")}
	parameters.CertificatePolicy.IssuerParameters.CertificateType = to("OV-SSL")
	capturing, response := answered()
	begun, err := client.CreateCertificate(capturing, "issued", parameters, nil)
	must(t, err)

	equal(t, "the version of HTTP", (*response).ProtoMajor, 2)
	equal(t, "the status code", (*response).StatusCode, http.StatusAccepted)
	equal(t, "Retry-After", (*response).Header.Get("Retry-After"), "10")
	location := fmt.Sprintf("%s/certificates/issued/pending?api-version=2025-07-01&request_id=%s", address(vault), *begun.RequestID)
	equal(t, "Location", (*response).Header.Get("Location"), location)
	check(t, "the request id is 32 hex digits", regexp.MustCompile("^[0-9a-f]{32}$").MatchString(*begun.RequestID))
	equal(t, "the id", string(*begun.ID), address(vault)+"/certificates/issued/pending")
	equal(t, "the issuer", *begun.IssuerParameters.Name, "local")
	equal(t, "the status", *begun.Status, "inProgress")
	equal(t, "the details", *begun.StatusDetails, "Pending certificate created. Certificate request is in progress. "+
		"This may take some time based on the issuer provider. Please check again later")
	check(t, "no cancellation was asked for", !*begun.CancellationRequested)

	completed := ended(t, client, "issued")
	equal(t, "the status", *completed.Status, "completed")
	equal(t, "the request id", *completed.RequestID, *begun.RequestID)
	equal(t, "the target", *completed.Target, address(vault)+"/certificates/issued?api-version=2025-07-01")

	certificate, err := client.GetCertificate(ctx, "issued", "", nil)
	must(t, err)
	leaf := parse(t, certificate.CER)
	equal(t, "the type of the certificate", *certificate.Policy.IssuerParameters.CertificateType, "OV-SSL")
	equal(t, "the subject", leaf.Subject.String(), "CN=issued.example")
	equal(t, "the issuer of the certificate", leaf.Issuer.String(), "CN=Go Root")
	request, err := x509.ParseCertificateRequest(begun.CSR)
	must(t, err)
	must(t, request.CheckSignature())
	check(t, "the certificate has the key of the request", sameKey(request.PublicKey, leaf.PublicKey))
}

func TestAnOperationOfAnIssuerIsInProgressUntilItEnds(t *testing.T) {
	client := certificates(t, vault)
	testIssuer(t, client, "holds", "hold")
	begun := create(t, client, "held", "holds")
	capturing, response := answered()
	operation, err := client.GetCertificateOperation(capturing, "held", nil)
	must(t, err)
	equal(t, "the status", *operation.Status, "inProgress")
	equal(t, "the request id", *operation.RequestID, *begun.RequestID)
	equal(t, "Retry-After", (*response).Header.Get("Retry-After"), "10")
	check(t, "an operation in progress has no error and no target", operation.Error == nil && operation.Target == nil)
	placeholder, err := client.GetCertificate(ctx, "held", "", nil)
	must(t, err)
	check(t, "there is a disabled certificate meanwhile", !*placeholder.Attributes.Enabled && placeholder.CER == nil)
}

func TestAFailedOperationSaysWhoseErrorItWas(t *testing.T) {
	client := certificates(t, vault)
	for account, code := range map[string]string{"fail": "Certificate issuer error", "reject": "Request rejected"} {
		testIssuer(t, client, account+"-issuer", account)
		create(t, client, account, account+"-issuer")
		operation := ended(t, client, account)
		equal(t, "the status", *operation.Status, "failed")
		equal(t, "the details", *operation.StatusDetails, "")
		equal(t, "the code", operation.Error.Code, code)
		check(t, "the error has a message", regexp.MustCompile(`"message":"The test issuer`).MatchString(operation.Error.Error()))
	}
}

func TestADeletedOperationIsNotFoundAndAnEndedOneIsOverwritten(t *testing.T) {
	client := certificates(t, vault)
	create(t, client, "deleted", "Unknown")
	_, err := client.DeleteCertificateOperation(ctx, "deleted", nil)
	must(t, err)
	_, err = client.GetCertificateOperation(ctx, "deleted", nil)
	message, _ := refused(t, err, 404, "PendingCertificateNotFound")
	equal(t, "the message", message, "Pending certificate not found: deleted")

	first := create(t, client, "overwritten", "Self")
	ended(t, client, "overwritten")
	second := create(t, client, "overwritten", "Self")
	check(t, "the second operation is another one", *second.RequestID != *first.RequestID)
	equal(t, "the request id", *ended(t, client, "overwritten").RequestID, *second.RequestID)
}

func TestAnOperationThatIsDeletedWhileItIsPolledIsNotFound(t *testing.T) {
	client := certificates(t, vault)
	testIssuer(t, client, "holds", "hold")
	create(t, client, "polled", "holds")
	polled := make(chan error)
	seen := make(chan bool, 1)
	go func() {
		for {
			_, err := client.GetCertificateOperation(ctx, "polled", nil)
			if err != nil {
				polled <- err
				return
			}
			select {
			case seen <- true:
			default:
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	<-seen
	_, err := client.DeleteCertificateOperation(ctx, "polled", nil)
	must(t, err)
	refused(t, <-polled, 404, "PendingCertificateNotFound")
}

func TestASecondRequestWhileOneIsInProgressIsAConflict(t *testing.T) {
	client := certificates(t, vault)
	create(t, client, "conflict", "Unknown")
	parameters := azcertificates.CreateCertificateParameters{CertificatePolicy: chosen("Self", "conflict")}
	_, created := client.CreateCertificate(ctx, "conflict", parameters, nil)
	_, imported := client.ImportCertificate(ctx, "conflict", pfx(t, newECKey(t), "conflict", ""), nil)
	for _, err := range []error{created, imported} {
		message, _ := refused(t, err, 409, "Forbidden")
		equal(t, "the message", message, "A new key vault certificate can not be created or imported while a pending "+
			"key vault certificate's status is inProgress.")
	}
	_, err := client.DeleteCertificateOperation(ctx, "conflict", nil)
	must(t, err)
	issue(t, client, "conflict", "Self")
}

func TestMergeIsForbiddenWhileAnIssuerWorksAndAllowedWhenItFailed(t *testing.T) {
	client := certificates(t, vault)
	ca := newAuthority(t)
	testIssuer(t, client, "holds", "hold")
	merge := func(name string, request []byte) error {
		parameters := azcertificates.MergeCertificateParameters{X509Certificates: ca.chain(t, request)}
		_, err := client.MergeCertificate(ctx, name, parameters, nil)
		return err
	}
	held := create(t, client, "merge-held", "holds")
	message, _ := refused(t, merge("merge-held", held.CSR), 403, "Forbidden")
	equal(t, "the message", message, "Merge is forbidden on pending object created with issuer : holds while it is in progess.")

	testIssuer(t, client, "fail-issuer", "fail")
	create(t, client, "merge-failed", "fail-issuer")
	failed := ended(t, client, "merge-failed")
	must(t, merge("merge-failed", failed.CSR))
	equal(t, "the status", *ended(t, client, "merge-failed").Status, "completed")
}

func TestACancellationIsAskedForAndGranted(t *testing.T) {
	client := certificates(t, vault)
	testIssuer(t, client, "holds", "hold")
	begun := create(t, client, "cancelled", "holds")
	cancel := azcertificates.UpdateCertificateOperationParameter{CancellationRequested: to(true)}
	asked, err := client.UpdateCertificateOperation(ctx, "cancelled", cancel, nil)
	must(t, err)
	check(t, "the cancellation is asked for", *asked.CancellationRequested)
	equal(t, "the status", *asked.Status, "inProgress")

	operation := ended(t, client, "cancelled")
	equal(t, "the status", *operation.Status, "cancelled")
	equal(t, "the details", *operation.StatusDetails, "")
	check(t, "a cancelled operation has no error", operation.Error == nil)
	_, err = client.UpdateCertificateOperation(ctx, "cancelled", cancel, nil)
	message, _ := refused(t, err, 400, "BadParameter")
	equal(t, "the message", message, "Pending status must be in progress to allow update.")

	chain := azcertificates.MergeCertificateParameters{X509Certificates: newAuthority(t).chain(t, begun.CSR)}
	_, err = client.MergeCertificate(ctx, "cancelled", chain, nil)
	must(t, err)
}

func TestADeletionAnswersTheOperationAsItStood(t *testing.T) {
	client := certificates(t, vault)
	testIssuer(t, client, "holds", "hold")
	begun := create(t, client, "removed", "holds")
	removed, err := client.DeleteCertificateOperation(ctx, "removed", nil)
	must(t, err)
	equal(t, "the status", *removed.Status, "inProgress")
	equal(t, "the request id", *removed.RequestID, *begun.RequestID)
	_, err = client.DeleteCertificateOperation(ctx, "removed", nil)
	refused(t, err, 404, "PendingCertificateNotFound")
}

func TestAManualCertificateIsCreatedAndMerged(t *testing.T) {
	client := certificates(t, vault)
	ca := newAuthority(t)
	unnamed := chosen("", "without")
	unnamed.IssuerParameters = nil
	for name, policy := range map[string]*azcertificates.CertificatePolicy{"unknown": chosen("Unknown", "unknown"), "without": unnamed} {
		begun, err := client.CreateCertificate(ctx, name, azcertificates.CreateCertificateParameters{CertificatePolicy: policy}, nil)
		must(t, err)
		equal(t, "the issuer", *begun.IssuerParameters.Name, "Unknown")
		equal(t, "the status", *begun.Status, "inProgress")
		equal(t, "the details", *begun.StatusDetails, "Pending certificate created. Please Perform Merge to complete the request.")

		other := create(t, client, name+"-other", "Unknown")
		wrong := azcertificates.MergeCertificateParameters{X509Certificates: ca.chain(t, other.CSR)}
		_, err = client.MergeCertificate(ctx, name, wrong, nil)
		refused(t, err, 400, "BadParameter")

		chain := ca.chain(t, begun.CSR)
		capturing, response := answered()
		merged, err := client.MergeCertificate(capturing, name, azcertificates.MergeCertificateParameters{
			X509Certificates: chain, Tags: map[string]*string{"merged": to("yes")},
		}, nil)
		must(t, err)
		equal(t, "the status code", (*response).StatusCode, http.StatusCreated)
		equal(t, "Location", (*response).Header.Get("Location"), address(vault)+"/certificates/"+name+"?api-version=2025-07-01")
		equal(t, "the certificate", string(merged.CER), string(chain[0]))
		equal(t, "a tag", *merged.Tags["merged"], "yes")
		equal(t, "the version of the key", merged.KID.Version(), merged.ID.Version())
		equal(t, "the version of the secret", merged.SID.Version(), merged.ID.Version())
		check(t, "the certificate is enabled", *merged.Attributes.Enabled)
		must(t, parse(t, merged.CER).CheckSignatureFrom(ca.certificate))
	}
}
