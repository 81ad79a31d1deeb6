import Clibsodium

/// Text as bytes, hexadecimal digits as bytes and back.
enum Hex {
    static func encode(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".unicodeScalars)
        var text = String.UnicodeScalarView()
        for byte in bytes { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        return String(text)
    }

    /// nil where the text holds anything else.
    static func decode(_ text: String) -> [UInt8]? {
        let letters = Array(text.utf8)
        guard letters.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: letters.count, by: 2) {
            guard let high = digit(letters[index]), let low = digit(letters[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func digit(_ letter: UInt8) -> UInt8? {
        switch letter {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return letter - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): return letter - UInt8(ascii: "a") + 10
        default: return nil
        }
    }
}

/// A code that is shown on the phone while its Wi-Fi is on, and how often a wrong one was tried.
public final class PairingCode {
    public static let mostTries = 5
    private static let letters = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ")

    /// Twelve letters, of 60 bits.
    public let code: String
    let salt: [UInt8]
    let key: [UInt8]
    private var wrong = 0

    public convenience init() {
        _ = sodium_init()
        self.init(code: String((0..<12).map { _ in PairingCode.letters[Int(randombytes_uniform(32))] }))
    }

    init(code: String) {
        _ = sodium_init()
        self.code = code
        var salt = [UInt8](repeating: 0, count: Int(crypto_pwhash_SALTBYTES))
        randombytes_buf(&salt, salt.count)
        self.salt = salt
        key = PairingCode.stretched(code, salt)
    }

    /// As it is shown: in groups of four.
    public var shown: String {
        stride(from: 0, to: 12, by: 4).map { start in
            String(Array(code)[start..<start + 4])
        }.joined(separator: "-")
    }

    public var isLocked: Bool { wrong >= PairingCode.mostTries }

    /// How many wrong tries are left after one more.
    func countWrong() -> Int {
        wrong += 1
        return max(0, PairingCode.mostTries - wrong)
    }

    func countRight() { wrong = 0 }

    /// Argon2id, so that trying codes against a recorded proof is slow.
    static func stretched(_ code: String, _ salt: [UInt8]) -> [UInt8] {
        var key = [UInt8](repeating: 0, count: 32)
        let failed = crypto_pwhash(
            &key, UInt64(key.count), code, UInt64(code.utf8.count), salt,
            UInt64(crypto_pwhash_argon2id_OPSLIMIT_INTERACTIVE), Int(crypto_pwhash_argon2id_MEMLIMIT_INTERACTIVE),
            crypto_pwhash_ALG_ARGON2ID13
        )
        precondition(failed == 0, "no memory for a pairing code")
        return key
    }
}

/// One connection's secrets, of both sides' keys and of the code.
struct Pairing {
    let publicKey: [UInt8]
    private let secretKey: [UInt8]

    init() {
        var publicKey = [UInt8](repeating: 0, count: Int(crypto_kx_PUBLICKEYBYTES))
        var secretKey = [UInt8](repeating: 0, count: Int(crypto_kx_SECRETKEYBYTES))
        crypto_kx_keypair(&publicKey, &secretKey)
        self.publicKey = publicKey
        self.secretKey = secretKey
    }

    struct Secrets {
        let expected: [UInt8]
        let proof: [UInt8]
        let received: [UInt8]
        let sent: [UInt8]

        /// Whether the host knows the code, in a time that does not tell where its proof differs.
        func proves(_ proof: [UInt8]) -> Bool {
            proof.count == expected.count && sodium_memcmp(proof, expected, expected.count) == 0
        }
    }

    /// nil where the host's key is none.
    func secrets(host: [UInt8], code: PairingCode) -> Secrets? {
        guard host.count == Int(crypto_kx_PUBLICKEYBYTES) else { return nil }
        var received = [UInt8](repeating: 0, count: Int(crypto_kx_SESSIONKEYBYTES))
        var sent = received
        guard crypto_kx_server_session_keys(&received, &sent, publicKey, secretKey, host) == 0 else { return nil }
        let keys = host + publicKey
        return Secrets(
            expected: keyed(Array("host".utf8) + keys + received + sent, code.key),
            proof: keyed(Array("app".utf8) + keys + received + sent, code.key),
            received: keyed(received, code.key), sent: keyed(sent, code.key)
        )
    }

    private func keyed(_ data: [UInt8], _ key: [UInt8]) -> [UInt8] {
        var sum = [UInt8](repeating: 0, count: 32)
        crypto_generichash(&sum, sum.count, data, UInt64(data.count), key, key.count)
        return sum
    }
}

/// libsodium's secret stream in both directions: a frame that is changed, repeated or left out does not open.
final class SecretStream {
    static let overhead = Int(crypto_secretstream_xchacha20poly1305_ABYTES)
    let header: [UInt8]
    private var push = crypto_secretstream_xchacha20poly1305_state()
    private var pull = crypto_secretstream_xchacha20poly1305_state()

    /// nil where the other side's header is none.
    init?(sent: [UInt8], received: [UInt8], header theirs: [UInt8]) {
        guard theirs.count == Int(crypto_secretstream_xchacha20poly1305_HEADERBYTES) else { return nil }
        var mine = theirs
        guard crypto_secretstream_xchacha20poly1305_init_push(&push, &mine, sent) == 0,
            crypto_secretstream_xchacha20poly1305_init_pull(&pull, theirs, received) == 0
        else { return nil }
        header = mine
    }

    func seal(_ data: [UInt8]) throws -> [UInt8] {
        var sealed = [UInt8](repeating: 0, count: data.count + SecretStream.overhead)
        guard
            crypto_secretstream_xchacha20poly1305_push(
                &push, &sealed, nil, data, UInt64(data.count), nil, 0, UInt8(crypto_secretstream_xchacha20poly1305_TAG_MESSAGE)
            ) == 0
        else { throw FrameError.malformed("a frame cannot be sealed") }
        return sealed
    }

    func open(_ data: [UInt8]) throws -> [UInt8] {
        guard data.count >= SecretStream.overhead else { throw FrameError.malformed("a sealed frame is too short") }
        var plain = [UInt8](repeating: 0, count: data.count - SecretStream.overhead)
        var tag: UInt8 = 0
        guard
            crypto_secretstream_xchacha20poly1305_pull(
                &pull, &plain, nil, &tag, data, UInt64(data.count), nil, 0
            ) == 0
        else { throw FrameError.malformed("a sealed frame was changed on its way, or is not the next one") }
        return plain
    }
}
