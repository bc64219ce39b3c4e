package clients;

import static clients.World.address;
import static clients.World.certificates;
import static clients.World.create;
import static clients.World.issue;
import static clients.World.policy;
import static clients.World.refused;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.azure.core.exception.HttpResponseException;
import com.azure.core.exception.ResourceNotFoundException;
import com.azure.core.util.Context;
import com.azure.core.util.polling.LongRunningOperationStatus;
import com.azure.security.keyvault.certificates.CertificateClientBuilder;
import com.azure.security.keyvault.certificates.models.AdministratorContact;
import com.azure.security.keyvault.certificates.models.CertificateContact;
import com.azure.security.keyvault.certificates.models.CertificateIssuer;
import com.azure.security.keyvault.certificates.models.CertificatePolicyAction;
import com.azure.security.keyvault.certificates.models.CertificateProperties;
import com.azure.security.keyvault.certificates.models.ImportCertificateOptions;
import com.azure.security.keyvault.certificates.models.KeyVaultCertificate;
import com.azure.security.keyvault.certificates.models.LifetimeAction;
import com.azure.security.keyvault.certificates.models.SubjectAlternativeNames;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Lists, versions, updates, deletion, backup, contacts and issuers. */
class ManagementTest {
    @Test
    void certificatesAreListedInPages() throws Exception {
        var client = certificates("java-lists");
        var file = FacesTest.pfx("list", Authority.ecKey("secp256r1"), "secret");
        var names = new ArrayList<String>();
        for (int number = 10; number < 40; number++) {
            client.importCertificate(new ImportCertificateOptions("list-" + number, file).setPassword("secret"));
            names.add("list-" + number);
        }
        create(client, "pending", policy("Unknown", "pending"));
        var pages = client.listPropertiesOfCertificates().streamByPage().map(page -> page.getValue().size()).toList();
        assertEquals(List.of(25, 5), pages);
        assertEquals(names, client.listPropertiesOfCertificates().stream().map(CertificateProperties::getName).toList());
        names.add("pending");
        var all = client.listPropertiesOfCertificates(true, Context.NONE);
        assertEquals(names, all.stream().map(CertificateProperties::getName).toList());
    }

    @Test
    void versionsAreListedAndReadOneByOne() {
        var client = certificates("java-versions");
        var issued = List.of(issue(client, "versions"), issue(client, "versions"), issue(client, "versions"));
        var listed = client.listPropertiesOfCertificateVersions("versions").stream().toList();
        assertEquals(3, listed.size());
        for (var certificate : issued) {
            String version = certificate.getProperties().getVersion();
            KeyVaultCertificate read = client.getCertificateVersion("versions", version);
            assertArrayEquals(certificate.getCer(), read.getCer());
            var item = listed.stream().filter(one -> one.getVersion().equals(version)).findFirst().orElseThrow();
            assertArrayEquals(read.getProperties().getX509Thumbprint(), item.getX509Thumbprint());
        }
    }

    @Test
    void aVersionIsMadeWithTheSameKey() {
        var client = certificates("java-versions");
        var policy = policy("Self", "again").setKeyReusable(true);
        var first = create(client, "again", policy).getFinalResult();
        var second = create(client, "again", policy).getFinalResult();
        assertFalse(first.getProperties().getVersion().equals(second.getProperties().getVersion()));
        assertEquals(World.parse(first.getCer()).getPublicKey(), World.parse(second.getCer()).getPublicKey());
    }

    @Test
    void propertiesAreUpdated() {
        var client = certificates("java-updates");
        var certificate = issue(client, "updated");
        String version = certificate.getProperties().getVersion();
        var updated = client.updateCertificateProperties(
                certificate.getProperties().setEnabled(false).setTags(Map.of("a", "1", "b", "2")));
        assertFalse(updated.getProperties().isEnabled());
        assertEquals(Map.of("a", "1", "b", "2"), updated.getProperties().getTags());
        client.updateCertificateProperties(updated.getProperties().setEnabled(true).setTags(Map.of("c", "3")));
        var read = client.getCertificateVersion("updated", version).getProperties();
        assertTrue(read.isEnabled());
        assertEquals(Map.of("c", "3"), read.getTags());
        assertEquals(90, read.getRecoverableDays());
    }

    @Test
    void aPolicyIsReadAndUpdated() throws Exception {
        var client = certificates("java-updates");
        var names = new SubjectAlternativeNames().setDnsNames(List.of("a.example", "b.example"));
        var chosen = policy("Self", "policy").setSubjectAlternativeNames(names).setValidityInMonths(7);
        var leaf = World.parse(create(client, "policy", chosen).getFinalResult().getCer());
        assertEquals(
                List.of("a.example", "b.example"),
                leaf.getSubjectAlternativeNames().stream().map(name -> name.get(1)).toList());

        var policy = client.getCertificatePolicy("policy");
        policy.setLifetimeActions(new LifetimeAction(CertificatePolicyAction.EMAIL_CONTACTS).setDaysBeforeExpiry(9));
        var updated = client.updateCertificatePolicy("policy", policy);
        for (var now : List.of(updated, client.getCertificatePolicy("policy"))) {
            assertEquals(9, now.getLifetimeActions().get(0).getDaysBeforeExpiry());
            assertEquals(CertificatePolicyAction.EMAIL_CONTACTS, now.getLifetimeActions().get(0).getAction());
            assertEquals(7, now.getValidityInMonths());
            assertEquals(List.of("a.example", "b.example"), now.getSubjectAlternativeNames().getDnsNames());
            assertEquals("Self", now.getIssuerName());
        }
    }

    @Test
    void aCertificateIsDeletedRecoveredAndPurged() {
        var client = certificates("java-deleted");
        var before = issue(client, "gone");
        var deletion = client.beginDeleteCertificate("gone").setPollInterval(Duration.ofMillis(20));
        assertEquals(LongRunningOperationStatus.SUCCESSFULLY_COMPLETED, deletion.waitForCompletion().getStatus());
        var deleted = client.getDeletedCertificate("gone");
        assertEquals(address("java-deleted") + "/deletedcertificates/gone", deleted.getRecoveryId());
        assertEquals(Duration.ofDays(90), Duration.between(deleted.getDeletedOn(), deleted.getScheduledPurgeDate()));
        assertArrayEquals(before.getCer(), deleted.getCer());
        refused(ResourceNotFoundException.class, 404, "CertificateNotFound", () -> client.getCertificate("gone"));
        var taken = refused(
                HttpResponseException.class, 409, "Conflict", () -> create(client, "gone", policy("Self", "gone")));
        assertTrue(taken.getMessage().contains("ObjectIsDeletedButRecoverable"));
        assertEquals(List.of("gone"), client.listDeletedCertificates().stream().map(one -> one.getName()).toList());

        var recovery = client.beginRecoverDeletedCertificate("gone").setPollInterval(Duration.ofMillis(20));
        assertEquals(LongRunningOperationStatus.SUCCESSFULLY_COMPLETED, recovery.waitForCompletion().getStatus());
        assertArrayEquals(before.getCer(), client.getCertificate("gone").getCer());

        client.beginDeleteCertificate("gone").setPollInterval(Duration.ofMillis(20)).waitForCompletion();
        assertEquals(204, client.purgeDeletedCertificateWithResponse("gone", Context.NONE).getStatusCode());
        refused(ResourceNotFoundException.class, 404, "CertificateNotFound", () -> client.getDeletedCertificate("gone"));
        issue(client, "gone");
    }

    @Test
    void aBackupIsRestoredIntoAnotherVault() {
        var client = certificates("java-backup");
        var other = certificates("java-restored");
        issue(client, "kept");
        var newest = issue(client, "kept");
        byte[] backup = client.backupCertificate("kept");
        refused(HttpResponseException.class, 409, "Conflict", () -> client.restoreCertificateBackup(backup));
        byte[] damaged = backup.clone();
        damaged[damaged.length - 1] ^= 1;
        refused(HttpResponseException.class, 400, "Malformed backup blob", () -> other.restoreCertificateBackup(damaged));

        var restored = other.restoreCertificateBackup(backup);
        assertEquals(newest.getProperties().getVersion(), restored.getProperties().getVersion());
        assertTrue(restored.getId().startsWith(address("java-restored")));
        assertArrayEquals(newest.getCer(), restored.getCer());
        assertEquals(2, other.listPropertiesOfCertificateVersions("kept").stream().count());
    }

    @Test
    void contactsAreSetReadAndDeleted() {
        var client = certificates("java-contacts");
        var contacts = List.of(
                new CertificateContact().setEmail("admin@contoso.example").setName("Admin").setPhone("1"),
                new CertificateContact().setEmail("b@contoso.example"));
        assertEquals(2, client.setContacts(contacts).stream().count());
        var read = client.listContacts().stream().toList();
        assertEquals("Admin", read.get(0).getName());
        assertEquals("b@contoso.example", read.get(1).getEmail());
        assertEquals(2, client.deleteContacts().stream().count());
        refused(
                ResourceNotFoundException.class,
                404,
                "ContactsNotFound",
                () -> client.listContacts().stream().count());
    }

    @Test
    void issuersAreKeptWithoutTheirPassword() {
        var client = certificates("java-issuers");
        client.createIssuer(new CertificateIssuer("kept", "Test")
                .setAccountId("complete")
                .setPassword("never shown")
                .setOrganizationId("org")
                .setAdministratorContacts(
                        List.of(new AdministratorContact().setFirstName("A").setEmail("a@contoso.example"))));
        client.updateIssuer(new CertificateIssuer("kept").setEnabled(false));
        var read = client.getIssuer("kept");
        assertEquals(address("java-issuers") + "/certificates/issuers/kept", read.getId());
        assertEquals("Test", read.getProvider());
        assertEquals("complete", read.getAccountId());
        assertNull(read.getPassword());
        assertEquals("A", read.getAdministratorContacts().get(0).getFirstName());
        assertFalse(read.isEnabled());
        assertEquals(List.of("kept"), client.listPropertiesOfIssuers().stream().map(one -> one.getName()).toList());
        client.deleteIssuer("kept");
        refused(ResourceNotFoundException.class, 404, "CertificateIssuerNotFound", () -> client.getIssuer("kept"));
    }

    @Test
    void whatIsNotThereIsNotFound() {
        var client = certificates("java-nothing");
        List<Executable> calls = List.of(
                () -> client.getCertificate("none"),
                () -> client.getCertificatePolicy("none"),
                () -> client.beginDeleteCertificate("none"),
                () -> client.backupCertificate("none"),
                () -> client.beginRecoverDeletedCertificate("none"),
                () -> client.purgeDeletedCertificate("none"));
        assertEquals(0, client.listPropertiesOfCertificateVersions("none").stream().count());
        for (var call : calls) {
            refused(ResourceNotFoundException.class, 404, "CertificateNotFound", call);
        }
    }

    @Test
    void oneVaultSeesNothingOfAnother() {
        issue(certificates("java-mine"), "mine");
        var yours = certificates("java-yours");
        refused(ResourceNotFoundException.class, 404, "CertificateNotFound", () -> yours.getCertificate("mine"));
    }

    @Test
    void theBareHostAsksForTheClientsOptOut() {
        String bare = address("x").replace("x.localhost", "localhost");
        var builder = new CertificateClientBuilder().vaultUrl(bare).credential(World.TOKEN).httpClient(World.TRANSPORT);
        var strict = builder.buildClient();
        var error = assertThrows(RuntimeException.class, () -> strict.getCertificate("java-default-vault"));
        assertTrue(error.getMessage().contains("challenge resource"), error.getMessage());
        issue(builder.disableChallengeResourceVerification().buildClient(), "java-default-vault");
    }
}
