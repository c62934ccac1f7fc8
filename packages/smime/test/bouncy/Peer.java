// Bouncy Castle as a peer: runs a list of jobs (one a line, fields by tab) in one virtual machine, and writes for each
// job a line "ok" or "failed REASON". Files are DER or plain octets. Run as a single source file with bcmail on the path.
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.security.*;
import java.security.cert.*;
import java.security.spec.*;
import java.util.*;
import javax.crypto.spec.*;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.cert.jcajce.*;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.OutputAEADEncryptor;
import org.bouncycastle.operator.OutputEncryptor;
import org.bouncycastle.operator.jcajce.JcaAlgorithmParametersConverter;

public class Peer {
  static byte[] read(String path) throws Exception {
    return Files.readAllBytes(Path.of(path));
  }

  static X509Certificate certificate(String path) throws Exception {
    return (X509Certificate) CertificateFactory.getInstance("X.509", "BC").generateCertificate(Files.newInputStream(Path.of(path)));
  }

  static PrivateKey key(String algorithm, String path) throws Exception {
    return KeyFactory.getInstance(algorithm, "BC").generatePrivate(new PKCS8EncodedKeySpec(read(path)));
  }

  // sign SCHEME KEYALG KEY CERT IN OUT opaque|detached
  static byte[] sign(String[] job) throws Exception {
    CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
    X509Certificate own = certificate(job[4]);
    generator.addSignerInfoGenerator(
        new JcaSimpleSignerInfoGeneratorBuilder().setProvider("BC").build(job[1], key(job[2], job[3]), own));
    generator.addCertificate(new JcaX509CertificateHolder(own));
    return generator.generate(new CMSProcessableByteArray(read(job[5])), job[7].equals("opaque")).getEncoded();
  }

  // verify IN CERT CONTENT|- OUT
  static byte[] verify(String[] job) throws Exception {
    byte[] object = read(job[1]);
    CMSSignedData signed =
        job[3].equals("-") ? new CMSSignedData(object) : new CMSSignedData(new CMSProcessableByteArray(read(job[3])), object);
    for (SignerInformation signer : signed.getSignerInfos()) {
      if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(certificate(job[2]))))
        throw new Exception("signature");
    }
    return (byte[]) signed.getSignedContent().getContent();
  }

  static RecipientInfoGenerator recipient(String kind, X509Certificate certificate) throws Exception {
    if (kind.equals("rsa")) return new JceKeyTransRecipientInfoGenerator(certificate).setProvider("BC");
    if (kind.startsWith("oaep-")) {
      String[] digests = kind.substring(5).split("/");
      OAEPParameterSpec oaep =
          new OAEPParameterSpec(digests[0], "MGF1", new MGF1ParameterSpec(digests[1]), PSource.PSpecified.DEFAULT);
      return new JceKeyTransRecipientInfoGenerator(
              certificate,
              new JcaAlgorithmParametersConverter().getAlgorithmIdentifier(PKCSObjectIdentifiers.id_RSAES_OAEP, oaep))
          .setProvider("BC");
    }
    ASN1ObjectIdentifier scheme = kind.equals("ecdh-sha384") ? CMSAlgorithm.ECDH_SHA384KDF : CMSAlgorithm.ECDH_SHA256KDF;
    KeyPairGenerator pairs = KeyPairGenerator.getInstance("EC", "BC");
    pairs.initialize(((java.security.interfaces.ECPublicKey) certificate.getPublicKey()).getParams());
    KeyPair own = pairs.generateKeyPair();
    return new JceKeyAgreeRecipientInfoGenerator(scheme, own.getPrivate(), own.getPublic(), CMSAlgorithm.AES128_WRAP)
        .addRecipient(certificate)
        .setProvider("BC");
  }

  // encrypt CIPHER KIND CERT IN OUT
  static byte[] encrypt(String[] job) throws Exception {
    ASN1ObjectIdentifier cipher = (ASN1ObjectIdentifier) CMSAlgorithm.class.getField(job[1]).get(null);
    RecipientInfoGenerator recipient = recipient(job[2], certificate(job[3]));
    CMSTypedData content = new CMSProcessableByteArray(read(job[4]));
    OutputEncryptor encryptor = new JceCMSContentEncryptorBuilder(cipher).setProvider("BC").build();
    if (encryptor instanceof OutputAEADEncryptor) {
      CMSAuthEnvelopedDataGenerator generator = new CMSAuthEnvelopedDataGenerator();
      generator.addRecipientInfoGenerator(recipient);
      return generator.generate(content, (OutputAEADEncryptor) encryptor).getEncoded();
    }
    CMSEnvelopedDataGenerator generator = new CMSEnvelopedDataGenerator();
    generator.addRecipientInfoGenerator(recipient);
    return generator.generate(content, encryptor).getEncoded();
  }

  // decrypt KEYALG KEY IN OUT
  static byte[] decrypt(String[] job) throws Exception {
    PrivateKey own = key(job[1], job[2]);
    byte[] object = read(job[3]);
    Recipient recipient =
        job[1].equals("RSA")
            ? new JceKeyTransEnvelopedRecipient(own).setProvider("BC")
            : new JceKeyAgreeEnvelopedRecipient(own).setProvider("BC");
    boolean authenticated =
        org.bouncycastle.asn1.cms.ContentInfo.getInstance(object).getContentType().equals(
            org.bouncycastle.asn1.cms.CMSObjectIdentifiers.authEnvelopedData);
    Collection<RecipientInformation> infos =
        authenticated
            ? new CMSAuthEnvelopedData(object).getRecipientInfos().getRecipients()
            : new CMSEnvelopedData(object).getRecipientInfos().getRecipients();
    return infos.iterator().next().getContent(recipient);
  }

  public static void main(String[] arguments) throws Exception {
    Security.addProvider(new BouncyCastleProvider());
    List<String> results = new ArrayList<>();
    for (String line : Files.readAllLines(Path.of(arguments[0]))) {
      String[] job = line.split("\t");
      try {
        byte[] made =
            switch (job[0]) {
              case "sign" -> sign(job);
              case "verify" -> verify(job);
              case "encrypt" -> encrypt(job);
              default -> decrypt(job);
            };
        Files.write(Path.of(job[0].equals("sign") ? job[6] : job[job.length - 1]), made);
        results.add("ok");
      } catch (Throwable failure) {
        results.add("failed " + failure);
      }
    }
    Files.write(Path.of(arguments[1]), String.join("\n", results).getBytes(StandardCharsets.UTF_8));
  }
}
