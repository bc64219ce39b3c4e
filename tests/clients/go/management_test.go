package clients

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

// listed is every item of a list, and how many pages it came in.
func listed[Page, Item any](t *testing.T, pager *runtime.Pager[Page], items func(Page) []Item) (all []Item, pages int) {
	t.Helper()
	for pager.More() {
		page, err := pager.NextPage(ctx)
		must(t, err)
		all = append(all, items(page)...)
		pages++
	}
	return all, pages
}

func names(t *testing.T, client *azcertificates.Client, pending bool) (names []string, pages int) {
	t.Helper()
	pager := client.NewListCertificatePropertiesPager(&azcertificates.ListCertificatePropertiesOptions{IncludePending: to(pending)})
	items, pages := listed(t, pager, func(page azcertificates.ListCertificatePropertiesResponse) []*azcertificates.CertificateProperties {
		return page.Value
	})
	for _, item := range items {
		names = append(names, item.ID.Name())
	}
	return names, pages
}

func TestCertificatesAreListedInPages(t *testing.T) {
	client := certificates(t, "go-lists")
	var want []string
	for number := range 30 {
		name := fmt.Sprintf("list-%02d", number)
		_, err := client.ImportCertificate(ctx, name, pfx(t, newECKey(t), name, ""), nil)
		must(t, err)
		want = append(want, name)
	}
	create(t, client, "pending", "Unknown")
	finished, pages := names(t, client, false)
	equal(t, "the names", fmt.Sprint(finished), fmt.Sprint(want))
	equal(t, "the number of pages", pages, 2)
	all, _ := names(t, client, true)
	equal(t, "the names with pending ones", fmt.Sprint(all), fmt.Sprint(append(want, "pending")))
}

func TestVersionsAreListedAndReadOneByOne(t *testing.T) {
	client := certificates(t, "go-versions")
	issued := map[string]string{}
	for range 3 {
		certificate := issue(t, client, "versions", "Self")
		issued[certificate.ID.Version()] = string(certificate.CER)
	}
	pager := client.NewListCertificatePropertiesVersionsPager("versions", nil)
	items, _ := listed(t, pager, func(page azcertificates.ListCertificatePropertiesVersionsResponse) []*azcertificates.CertificateProperties {
		return page.Value
	})
	equal(t, "the number of versions", len(items), 3)
	for _, item := range items {
		read, err := client.GetCertificate(ctx, "versions", item.ID.Version(), nil)
		must(t, err)
		equal(t, "the certificate", string(read.CER), issued[item.ID.Version()])
		equal(t, "the thumbprint", string(read.X509Thumbprint), string(item.X509Thumbprint))
	}
}

func TestAVersionIsMadeWithoutAPolicyAndWithTheSameKey(t *testing.T) {
	client := certificates(t, "go-versions")
	policy := chosen("Self", "again")
	policy.KeyProperties.ReuseKey = to(true)
	var keys []any
	for _, policy := range []*azcertificates.CertificatePolicy{policy, nil} {
		_, err := client.CreateCertificate(ctx, "again", azcertificates.CreateCertificateParameters{CertificatePolicy: policy}, nil)
		must(t, err)
		equal(t, "the status", *ended(t, client, "again").Status, "completed")
		certificate, err := client.GetCertificate(ctx, "again", "", nil)
		must(t, err)
		equal(t, "the subject", parse(t, certificate.CER).Subject.String(), "CN=again.example")
		keys = append(keys, parse(t, certificate.CER).PublicKey)
	}
	check(t, "both versions have the same key", sameKey(keys[0], keys[1]))
}

func TestPropertiesAreUpdated(t *testing.T) {
	client := certificates(t, "go-updates")
	version := issue(t, client, "updated", "Self").ID.Version()
	update := azcertificates.UpdateCertificateParameters{
		CertificateAttributes: &azcertificates.CertificateAttributes{Enabled: to(false)},
		Tags:                  map[string]*string{"a": to("1"), "b": to("2")},
	}
	updated, err := client.UpdateCertificate(ctx, "updated", version, update, nil)
	must(t, err)
	check(t, "the certificate is disabled", !*updated.Attributes.Enabled)
	equal(t, "the number of tags", len(updated.Tags), 2)

	update.CertificateAttributes.Enabled, update.Tags = to(true), map[string]*string{"c": to("3")}
	_, err = client.UpdateCertificate(ctx, "updated", "", update, nil)
	must(t, err)
	read, err := client.GetCertificate(ctx, "updated", version, nil)
	must(t, err)
	check(t, "the certificate is enabled", *read.Attributes.Enabled)
	equal(t, "the number of tags", len(read.Tags), 1)
	equal(t, "the tag", *read.Tags["c"], "3")
}

func TestAPolicyIsReadAndUpdatedInPart(t *testing.T) {
	client := certificates(t, "go-updates")
	policy := chosen("Self", "policy")
	policy.X509CertificateProperties.SubjectAlternativeNames = &azcertificates.SubjectAlternativeNames{
		DNSNames: []*string{to("a.example"), to("b.example")}, IPAddresses: []*string{to("192.0.2.1")},
	}
	policy.X509CertificateProperties.ValidityInMonths = to(int32(7))
	_, err := client.CreateCertificate(ctx, "policy", azcertificates.CreateCertificateParameters{CertificatePolicy: policy}, nil)
	must(t, err)
	ended(t, client, "policy")
	certificate, err := client.GetCertificate(ctx, "policy", "", nil)
	must(t, err)
	leaf := parse(t, certificate.CER)
	equal(t, "the names", fmt.Sprint(leaf.DNSNames, leaf.IPAddresses), "[a.example b.example] [192.0.2.1]")

	updated, err := client.UpdateCertificatePolicy(ctx, "policy", azcertificates.CertificatePolicy{
		LifetimeActions: []*azcertificates.LifetimeAction{{
			Action:  &azcertificates.LifetimeActionType{ActionType: to(azcertificates.CertificatePolicyActionEmailContacts)},
			Trigger: &azcertificates.LifetimeActionTrigger{DaysBeforeExpiry: to(int32(9))},
		}},
	}, nil)
	must(t, err)
	read, err := client.GetCertificatePolicy(ctx, "policy", nil)
	must(t, err)
	for _, policy := range []azcertificates.CertificatePolicy{updated.CertificatePolicy, read.CertificatePolicy} {
		equal(t, "the days", *policy.LifetimeActions[0].Trigger.DaysBeforeExpiry, 9)
		equal(t, "the action", *policy.LifetimeActions[0].Action.ActionType, azcertificates.CertificatePolicyActionEmailContacts)
		equal(t, "the validity", *policy.X509CertificateProperties.ValidityInMonths, 7)
		equal(t, "a name", *policy.X509CertificateProperties.SubjectAlternativeNames.DNSNames[1], "b.example")
		equal(t, "the issuer", *policy.IssuerParameters.Name, "Self")
		equal(t, "the curve", *policy.KeyProperties.Curve, azcertificates.CurveNameP256)
	}
}

func TestACertificateIsDeletedRecoveredAndPurged(t *testing.T) {
	client := certificates(t, "go-deleted")
	before := issue(t, client, "gone", "Self")
	deleted, err := client.DeleteCertificate(ctx, "gone", nil)
	must(t, err)
	equal(t, "the recovery id", *deleted.RecoveryID, address("go-deleted")+"/deletedcertificates/gone")
	equal(t, "the time for recovery", deleted.ScheduledPurgeDate.Sub(*deleted.DeletedDate), 90*24*time.Hour)
	_, err = client.GetCertificate(ctx, "gone", "", nil)
	refused(t, err, 404, "CertificateNotFound")
	parameters := azcertificates.CreateCertificateParameters{CertificatePolicy: chosen("Self", "gone")}
	_, err = client.CreateCertificate(ctx, "gone", parameters, nil)
	_, inner := refused(t, err, 409, "Conflict")
	equal(t, "the inner code", inner, "ObjectIsDeletedButRecoverable")

	read, err := client.GetDeletedCertificate(ctx, "gone", nil)
	must(t, err)
	equal(t, "the id", *read.ID, *before.ID)
	items, _ := listed(t, client.NewListDeletedCertificatePropertiesPager(nil),
		func(page azcertificates.ListDeletedCertificatePropertiesResponse) []*azcertificates.DeletedCertificateProperties {
			return page.Value
		})
	equal(t, "the number of deleted certificates", len(items), 1)
	equal(t, "the name", items[0].ID.Name(), "gone")

	recovered, err := client.RecoverDeletedCertificate(ctx, "gone", nil)
	must(t, err)
	equal(t, "the id", *recovered.ID, *before.ID)
	again, err := client.GetCertificate(ctx, "gone", "", nil)
	must(t, err)
	equal(t, "the certificate", string(again.CER), string(before.CER))

	_, err = client.DeleteCertificate(ctx, "gone", nil)
	must(t, err)
	_, err = client.PurgeDeletedCertificate(ctx, "gone", nil)
	must(t, err)
	_, err = client.GetDeletedCertificate(ctx, "gone", nil)
	refused(t, err, 404, "CertificateNotFound")
	issue(t, client, "gone", "Self")
}

func TestABackupIsRestoredIntoAnotherVault(t *testing.T) {
	client, other := certificates(t, "go-backup"), certificates(t, "go-restored")
	issue(t, client, "kept", "Self")
	newest := issue(t, client, "kept", "Self")
	backup, err := client.BackupCertificate(ctx, "kept", nil)
	must(t, err)
	restore := azcertificates.RestoreCertificateParameters{CertificateBackup: backup.Value}
	_, err = client.RestoreCertificate(ctx, restore, nil)
	refused(t, err, 409, "Conflict")
	damaged := append([]byte{}, backup.Value...)
	damaged[len(damaged)-1] ^= 1
	_, err = other.RestoreCertificate(ctx, azcertificates.RestoreCertificateParameters{CertificateBackup: damaged}, nil)
	refused(t, err, 400, "Malformed backup blob")

	restored, err := other.RestoreCertificate(ctx, restore, nil)
	must(t, err)
	equal(t, "the id", string(*restored.ID), address("go-restored")+"/certificates/kept/"+newest.ID.Version())
	equal(t, "the certificate", string(restored.CER), string(newest.CER))
	versions, _ := listed(t, other.NewListCertificatePropertiesVersionsPager("kept", nil),
		func(page azcertificates.ListCertificatePropertiesVersionsResponse) []*azcertificates.CertificateProperties {
			return page.Value
		})
	equal(t, "the number of versions", len(versions), 2)
}

func TestContactsAreSetReadAndDeleted(t *testing.T) {
	client := certificates(t, "go-contacts")
	set, err := client.SetContacts(ctx, azcertificates.Contacts{ContactList: []*azcertificates.Contact{
		{Email: to("admin@contoso.example"), Name: to("Admin"), Phone: to("1")}, {Email: to("b@contoso.example")},
	}}, nil)
	must(t, err)
	equal(t, "the id", *set.ID, address("go-contacts")+"/certificates/contacts")
	read, err := client.GetContacts(ctx, nil)
	must(t, err)
	equal(t, "the name", *read.ContactList[0].Name, "Admin")
	equal(t, "the second address", *read.ContactList[1].Email, "b@contoso.example")
	deleted, err := client.DeleteContacts(ctx, nil)
	must(t, err)
	equal(t, "the number of deleted contacts", len(deleted.ContactList), 2)
	_, err = client.GetContacts(ctx, nil)
	refused(t, err, 404, "ContactsNotFound")
}

func TestIssuersAreKeptWithoutTheirPassword(t *testing.T) {
	client := certificates(t, "go-issuers")
	set, err := client.SetIssuer(ctx, "kept", azcertificates.SetIssuerParameters{
		Provider:    to("Test"),
		Credentials: &azcertificates.IssuerCredentials{AccountID: to("complete"), Password: to("never shown")},
		OrganizationDetails: &azcertificates.OrganizationDetails{
			ID: to("org"), AdminContacts: []*azcertificates.AdministratorContact{{Email: to("a@contoso.example"), FirstName: to("A")}},
		},
	}, nil)
	must(t, err)
	equal(t, "the id", *set.ID, address("go-issuers")+"/certificates/issuers/kept")
	_, err = client.UpdateIssuer(ctx, "kept", azcertificates.UpdateIssuerParameters{
		Attributes: &azcertificates.IssuerAttributes{Enabled: to(false)},
	}, nil)
	must(t, err)
	read, err := client.GetIssuer(ctx, "kept", nil)
	must(t, err)
	equal(t, "the provider", *read.Provider, "Test")
	equal(t, "the account", *read.Credentials.AccountID, "complete")
	check(t, "the password is not shown", read.Credentials.Password == nil)
	equal(t, "the contact", *read.OrganizationDetails.AdminContacts[0].FirstName, "A")
	check(t, "the issuer is disabled", !*read.Attributes.Enabled)
	items, _ := listed(t, client.NewListIssuerPropertiesPager(nil),
		func(page azcertificates.ListIssuerPropertiesResponse) []*azcertificates.IssuerProperties {
			return page.Value
		})
	equal(t, "the number of issuers", len(items), 1)
	equal(t, "the id", *items[0].ID, *set.ID)
	_, err = client.DeleteIssuer(ctx, "kept", nil)
	must(t, err)
	_, err = client.GetIssuer(ctx, "kept", nil)
	refused(t, err, 404, "CertificateIssuerNotFound")
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	client := certificates(t, "go-nothing")
	calls := map[string]func() error{
		"get":    func() error { _, err := client.GetCertificate(ctx, "none", "", nil); return err },
		"policy": func() error { _, err := client.GetCertificatePolicy(ctx, "none", nil); return err },
		"update": func() error {
			_, err := client.UpdateCertificate(ctx, "none", "", azcertificates.UpdateCertificateParameters{}, nil)
			return err
		},
		"delete":  func() error { _, err := client.DeleteCertificate(ctx, "none", nil); return err },
		"backup":  func() error { _, err := client.BackupCertificate(ctx, "none", nil); return err },
		"recover": func() error { _, err := client.RecoverDeletedCertificate(ctx, "none", nil); return err },
		"purge":   func() error { _, err := client.PurgeDeletedCertificate(ctx, "none", nil); return err },
	}
	page, err := client.NewListCertificatePropertiesVersionsPager("none", nil).NextPage(ctx)
	must(t, err)
	equal(t, "the number of versions", len(page.Value), 0)
	for name, call := range calls {
		t.Run(name, func(t *testing.T) { refused(t, call(), 404, "CertificateNotFound") })
	}
}

func TestOneVaultSeesNothingOfAnother(t *testing.T) {
	issue(t, certificates(t, "go-mine"), "mine", "Self")
	_, err := certificates(t, "go-yours").GetCertificate(ctx, "mine", "", nil)
	refused(t, err, 404, "CertificateNotFound")
}

func TestTheBareHostAsksForTheClientsOptOut(t *testing.T) {
	url := "https://localhost:" + port
	strict, err := azcertificates.NewClient(url, token{}, &azcertificates.ClientOptions{ClientOptions: options()})
	must(t, err)
	_, err = strict.GetContacts(ctx, nil)
	check(t, "the client itself refuses", err != nil && strings.Contains(err.Error(), "doesn't match the requested domain"))
	client, err := azcertificates.NewClient(url, token{}, &azcertificates.ClientOptions{
		ClientOptions: options(), DisableChallengeResourceVerification: true,
	})
	must(t, err)
	issue(t, client, "go-default-vault", "Self")
}
