"""TLS before a lab: `tls_proxy.py URL DIR` writes a new authority to DIR/authority.pem, prints where it listens, and passes
bytes on in both directions until it is killed."""
import asyncio, datetime, ssl, sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

URL, DIR = sys.argv[1], Path(sys.argv[2])


def signed(name, key, issuer, issuer_key, extensions):
    now = datetime.datetime.now(datetime.timezone.utc)
    named = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    builder = x509.CertificateBuilder().subject_name(named(name)).issuer_name(named(issuer)).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=2))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def certificates():
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    basic = lambda ca: x509.BasicConstraints(ca=ca, path_length=None)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    (DIR / "authority.pem").write_bytes(signed("test authority", authority, "test authority", authority, [basic(True)]))
    (DIR / "server.pem").write_bytes(signed("localhost", server, "test authority", authority, [basic(False), names]))
    private = server.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                   serialization.NoEncryption())
    (DIR / "server.key").write_bytes(private)


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def client(reader, writer):
    there = await asyncio.open_connection("127.0.0.1", int(URL.rsplit(":", 1)[1]))
    await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))


async def main():
    certificates()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(DIR / "server.pem", DIR / "server.key")
    server = await asyncio.start_server(client, "127.0.0.1", 0, ssl=context)
    print(f"listening on https://localhost:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


asyncio.run(main())
