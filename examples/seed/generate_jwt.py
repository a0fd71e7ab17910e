# 2. 认证令牌获取
#
# changed: the package is called PyJWT (pip install PyJWT), though it is imported as jwt;
# the package that PyPI calls jwt is another one, without this encode().
# changed: the document lost its line breaks and indentation; they are restored throughout.
import jwt
import time

# changed: added, because the credentials come from the environment.
from demo import setting


def generate_jwt(client_id, client_secret):
    payload = {
        "iss": client_id,
        "iat": int(time.time()),
        "exp": int(time.time()) + 3600  # 1小时有效期
    }
    return jwt.encode(payload, client_secret, algorithm="HS256")


# changed: added, because the document never calls the function.
if __name__ == "__main__":
    print(generate_jwt(setting("FATHOM_CLIENT_ID"), setting("FATHOM_CLIENT_SECRET")))
