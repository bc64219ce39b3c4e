package clients

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

// place is a host of the server that a program is configured with; the check of the challenge is on.
func place() string { return address("default") }

func appService(t *testing.T) {
	t.Setenv("IDENTITY_ENDPOINT", place()+"/identity/token")
	t.Setenv("IDENTITY_HEADER", "dev")
}

func tenant(t *testing.T) {
	t.Setenv("AZURE_AUTHORITY_HOST", place())
	t.Setenv("AZURE_TENANT_ID", "adfs")
	t.Setenv("AZURE_CLIENT_ID", "any")
}

// works makes a certificate with the credential, in a vault by name and at the address alone.
func works(t *testing.T, name string, credential azcore.TokenCredential, err error) {
	t.Helper()
	must(t, err)
	for _, url := range []string{place(), "https://127.0.0.1:" + port} {
		client, err := azcertificates.NewClient(url, credential, &azcertificates.ClientOptions{ClientOptions: options()})
		must(t, err)
		issue(t, client, name, "Self")
	}
}

func TestAManagedIdentityByTwoVariables(t *testing.T) {
	appService(t)
	managed, err := azidentity.NewManagedIdentityCredential(
		&azidentity.ManagedIdentityCredentialOptions{ClientOptions: options()})
	works(t, "go-managed", managed, err)
	chain, err := azidentity.NewDefaultAzureCredential(
		&azidentity.DefaultAzureCredentialOptions{ClientOptions: options()})
	works(t, "go-managed-default", chain, err)
}

func TestAServicePrincipalOfTheTenantAdfs(t *testing.T) {
	tenant(t)
	t.Setenv("AZURE_CLIENT_SECRET", "dev")
	environment, err := azidentity.NewEnvironmentCredential(
		&azidentity.EnvironmentCredentialOptions{ClientOptions: options()})
	works(t, "go-environment", environment, err)
	chain, err := azidentity.NewDefaultAzureCredential(
		&azidentity.DefaultAzureCredentialOptions{ClientOptions: options()})
	works(t, "go-environment-default", chain, err)
}

func TestAFederatedTokenFile(t *testing.T) {
	tenant(t)
	file := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(file, []byte("dev"), 0o600))
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", file)
	workload, err := azidentity.NewWorkloadIdentityCredential(
		&azidentity.WorkloadIdentityCredentialOptions{ClientOptions: options()})
	works(t, "go-federated", workload, err)
}
