// Bouncy Castle's mail API in one virtual machine that lives as long as the benchmark. Commands on standard input, one a line, fields by
// tab: DIRECTION TIMES KEYALG ENTITY MADE CA SENDER SENDER.KEY RECIPIENT RECIPIENT.KEY; each is answered with the milliseconds of processor
// time of the process for one message.
import java.io.*;
import java.nio.file.*;
import java.security.*;
import java.security.cert.*;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.*;
import javax.mail.Session;
import javax.mail.internet.*;
import org.bouncycastle.cert.jcajce.*;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.mail.smime.*;

public class Bouncy {
  static final com.sun.management.OperatingSystemMXBean SYSTEM =
      (com.sun.management.OperatingSystemMXBean) java.lang.management.ManagementFactory.getOperatingSystemMXBean();
  static final Session MAIL = Session.getInstance(new Properties());
  static final Map<String, Object> KNOWN = new HashMap<>();

  static X509Certificate certificate(String path) throws Exception {
    Object known = KNOWN.get(path);
    if (known == null) {
      known = CertificateFactory.getInstance("X.509", "BC").generateCertificate(Files.newInputStream(Path.of(path)));
      KNOWN.put(path, known);
    }
    return (X509Certificate) known;
  }

  static PrivateKey key(String algorithm, String path) throws Exception {
    Object known = KNOWN.get(path);
    if (known == null) {
      String text = Files.readString(Path.of(path)).replaceAll("-----[^-]+-----|\\s", "");
      known = KeyFactory.getInstance(algorithm, "BC").generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(text)));
      KNOWN.put(path, known);
    }
    return (PrivateKey) known;
  }

  static byte[] make(String[] f, byte[] entity) throws Exception {
    X509Certificate sender = certificate(f[6]);
    SMIMESignedGenerator signing = new SMIMESignedGenerator();
    String scheme = f[2].equals("RSA") ? "SHA256withRSA" : "SHA256withECDSA";
    signing.addSignerInfoGenerator(
        new JcaSimpleSignerInfoGeneratorBuilder().setProvider("BC").build(scheme, key(f[2], f[7]), sender));
    signing.addCertificates(new JcaCertStore(List.of(sender, certificate(f[5]))));
    MimeMessage signed = new MimeMessage(MAIL);
    MimeMultipart parts = signing.generate(new MimeBodyPart(new ByteArrayInputStream(entity)));
    signed.setContent(parts, parts.getContentType());
    signed.saveChanges();
    SMIMEEnvelopedGenerator encrypting = new SMIMEEnvelopedGenerator();
    X509Certificate recipient = certificate(f[8]);
    if (f[2].equals("RSA")) encrypting.addRecipientInfoGenerator(new JceKeyTransRecipientInfoGenerator(recipient).setProvider("BC"));
    else {
      KeyPairGenerator pairs = KeyPairGenerator.getInstance("EC", "BC");
      pairs.initialize(((java.security.interfaces.ECPublicKey) recipient.getPublicKey()).getParams());
      KeyPair own = pairs.generateKeyPair();
      encrypting.addRecipientInfoGenerator(
          new JceKeyAgreeRecipientInfoGenerator(CMSAlgorithm.ECDH_SHA256KDF, own.getPrivate(), own.getPublic(), CMSAlgorithm.AES256_WRAP)
              .addRecipient(recipient)
              .setProvider("BC"));
    }
    MimeBodyPart made =
        encrypting.generate(signed, new JceCMSContentEncryptorBuilder(CMSAlgorithm.AES256_CBC).setProvider("BC").build());
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    made.writeTo(out);
    return out.toByteArray();
  }

  static void read(String[] f, byte[] made) throws Exception {
    SMIMEEnveloped enveloped = new SMIMEEnveloped(new MimeMessage(MAIL, new ByteArrayInputStream(made)));
    RecipientInformation info = enveloped.getRecipientInfos().getRecipients().iterator().next();
    PrivateKey own = key(f[2], f[9]);
    byte[] content =
        info.getContent(
            f[2].equals("RSA")
                ? new JceKeyTransEnvelopedRecipient(own).setProvider("BC")
                : new JceKeyAgreeEnvelopedRecipient(own).setProvider("BC"));
    MimeBodyPart part = new MimeBodyPart(new ByteArrayInputStream(content));
    SMIMESigned signed = new SMIMESigned((MimeMultipart) part.getContent());
    for (SignerInformation signer : signed.getSignerInfos().getSigners()) {
      if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(certificate(f[6]))))
        throw new Exception("not verified");
    }
  }

  public static void main(String[] arguments) throws Exception {
    Security.addProvider(new BouncyCastleProvider());
    BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      String[] f = line.split("\t");
      byte[] input = Files.readAllBytes(Path.of(f[0].equals("make") ? f[3] : f[4]));
      int times = Integer.parseInt(f[1]);
      long start = SYSTEM.getProcessCpuTime();
      for (int count = 0; count < times; count++) {
        if (f[0].equals("make")) make(f, input);
        else read(f, input);
      }
      System.out.println((SYSTEM.getProcessCpuTime() - start) / 1e6 / times);
    }
  }
}
